"""SND at initialisation and losses after training, of small dense networks with a normaliser at a batch size."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from ntkcheck import normalizers, snd
from ntkcheck.compilation import compiled
from ntkcheck.data.labelled import load_split
from ntkcheck.measurement import Measurement, Series
from ntkcheck.normalizers import Normalizer
from ntkcheck.reference.case import cross_entropy
from ntkcheck.training.dense import Dense, apply, descend, frozen, init, pre_activations

FEATURES, HIDDEN = 64, (64, 64, 64)
CLASSES = 10
EPOCH = 1280  # of the training digits, drawn anew for every epoch: a multiple of every power of two up to 256
EPS = 1e-5  # added to variances, as in the papers' published code
DRAWS, BATCHES = 4, 64  # batches of a sample, on average, that its SND rests on, and of all samples; at least


class Samples(NamedTuple):
    """Images with their classes."""

    x: Float[Array, "samples features"]
    labels: Int[Array, " samples"]


def digits() -> tuple[Samples, Samples]:
    """Training and test digits, in float32, standardised by mean and deviation of the former."""
    split = load_split("digits")
    mean, deviation = split.train.mean(), split.train.std()
    sides = ((split.train, split.train_labels), (split.test, split.test_labels))
    training, test = (
        Samples(jnp.asarray((x - mean) / deviation, jnp.float32), jnp.asarray(labels, jnp.int32)) for x, labels in sides
    )
    return training, test


def disturbance_and_loss(
    _: Array,
    normalizer: str,
    batch_size: int,
    group_size: int,
    iterations: int,
    epochs: int,
    rate: float,
    seeds: int,
    seed: int,
) -> list[Measurement]:
    """SND at initialisation, mean over the hidden layers, and final losses and test error, by seed.

    Networks with three hidden layers of 64 neurons on the bundled digits, with scale and shift, in float32. SND is that of a
    layer's own pre-activations of the training samples, which are normalised all together in the layers before; batches without
    replacement, as in training. Stochastic gradient descent without momentum and decay; the learning rate is proportional to the
    batch size and falls to 0 by a cosine. Losses are cross-entropies with mean and covariance of the training samples, layer by
    layer, in place of the batch's. The derived key is not used: weights and order of the samples are the same for all settings.

    Source: claim IN-9.

    Args:
        normalizer: batch_norm, zca or iter_norm.
        batch_size: m, a divisor of 1280: every setting sees 1280 samples an epoch.
        group_size: Features per group; 1 for BatchNorm.
        iterations: Newton steps of IterNorm; not used by the others.
        epochs: Of the training.
        rate: Learning rate per 64 samples of a batch.
        seeds: Independent networks.
        seed: Of everything random.

    Returns:
        Series by seed; values that are not finite are what a breakdown left.

    Raises:
        ValueError: For a batch size that does not divide 1280 or that the normaliser cannot do with, and a normaliser that is no
            function of mean and covariance.
    """
    if EPOCH % batch_size:
        raise ValueError(f"`batch_size` must divide the {EPOCH} samples of an epoch, got {batch_size}; try 64.")
    kind = normalizers.get(normalizer, group_size, iterations or 5, EPS)
    kind.check(batch_size, HIDDEN[0])
    snd.statistics_function(kind)
    training, test = digits()
    params_key, order_key, snd_key = jax.random.split(jax.random.key(seed), 3)
    start = networks(params_key, seeds)
    trained = train(
        start,
        jax.random.split(order_key, seeds),
        training,
        rate * batch_size / 64,
        kind=kind,
        batch_size=batch_size,
        epochs=epochs,
    )
    found = {"snd": _disturbances(snd_key, start, training.x, kind, batch_size)}
    for name, values in evaluate(trained, training, test, kind=kind).items():
        found[name] = np.asarray(values, np.float64), np.zeros(seeds)
    method = f"{seeds} networks"
    return [
        Measurement(name, Series(value, sem, seeds, np.arange(seeds)), method) for name, (value, sem) in found.items()
    ]


def networks(key: Array, count: int) -> Dense:
    """Stacked networks at their start."""
    sizes = (FEATURES, *HIDDEN, CLASSES)
    return jax.vmap(lambda key: init(key, sizes, dtype=jnp.float32))(jax.random.split(key, count))


def _disturbances(
    key: Array, start: Dense, x: Array, kind: Normalizer, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """SND of every network, mean over its hidden layers, and the standard errors; anchors are all samples, and add none."""
    draws = max(DRAWS, math.ceil(BATCHES * batch_size / len(x)))

    def of_layer(key: Array, h: Array) -> tuple[float, float]:
        found = snd.disturbance(kind, h, batch_size, len(h), draws, key=key, replacement=False)
        return found.value, found.sem_draws

    layers = _pre_activations(start, x, kind=kind)
    by_network = zip(jax.random.split(key, (len(layers[0]), len(layers))), zip(*layers, strict=True), strict=True)
    found = np.array([list(map(of_layer, split, of_network)) for split, of_network in by_network])
    return found[:, :, 0].mean(1), np.linalg.norm(found[:, :, 1], axis=1) / len(layers)


@compiled("kind")
def _pre_activations(start: Dense, x: Array, *, kind: Normalizer) -> list[Float[Array, "networks samples neurons"]]:
    return jax.vmap(lambda params: pre_activations(params, x, kind))(start)


@compiled("kind", "batch_size", "epochs", optimization=1)
def train(
    start: Dense, keys: Array, training: Samples, rate: float, *, kind: Normalizer, batch_size: int, epochs: int
) -> Dense:
    """Stacked networks after their training, each in an order of samples of its own."""
    steps = epochs * (EPOCH // batch_size)
    optimizer = optax.sgd(optax.cosine_decay_schedule(rate, steps))
    functions = (kind.function,) * len(HIDDEN)

    def loss(params: Dense, x: Array, labels: Array) -> Array:
        return cross_entropy(apply(params, x, functions), labels)

    def one(params: Dense, key: Array) -> Dense:
        orders = jax.vmap(lambda key: jax.random.permutation(key, len(training.x))[:EPOCH])(
            jax.random.split(key, epochs)
        )
        rows = orders.reshape(steps, batch_size)
        return descend(loss, params, training.x[rows], training.labels[rows], optimizer)

    return jax.vmap(one)(start, keys)


@compiled("kind")
def evaluate(
    trained: Dense, training: Samples, test: Samples, *, kind: Normalizer
) -> dict[str, Float[Array, " seeds"]]:
    """Training loss, test loss and share of wrong answers on the test samples, with the training samples' statistics."""

    def one(params: Dense) -> dict[str, Array]:
        functions = [frozen(kind, h, EPS) for h in pre_activations(params, training.x, kind)]
        outputs = [apply(params, part.x, functions) for part in (training, test)]
        return {
            "training_loss": cross_entropy(outputs[0], training.labels),
            "test_loss": cross_entropy(outputs[1], test.labels),
            "test_error": jnp.mean(jnp.argmax(outputs[1], axis=1) != test.labels),
        }

    return jax.lax.map(one, trained)
