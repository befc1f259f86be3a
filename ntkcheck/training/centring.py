"""Weight mean in training by two routes: the weights centred after every step, or their gradient before it."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from ntkcheck import data
from ntkcheck.compilation import compiled
from ntkcheck.measurement import Measurement, Series
from ntkcheck.normalizers import centre_weights
from ntkcheck.normalizers.registry import identity
from ntkcheck.reference.case import cross_entropy
from ntkcheck.training.dense import Dense, apply, descend, init

HIDDEN = (64, 64, 64)
CLASSES = 10
OPTIMIZERS: Mapping[str, Callable[[], optax.GradientTransformation]] = {
    "sgd": lambda: optax.chain(optax.add_decayed_weights(5e-4), optax.sgd(0.05, momentum=0.9)),
    "adam": lambda: optax.adam(1e-3),
}


def centred(params: Any) -> Any:
    """Every neuron's incoming weights less their mean, in every layer of a `Dense`; scales and shifts as they are."""
    return params._replace(weights=tuple(map(centre_weights, params.weights)))


def centred_gradients(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """The optimiser, given centred gradients of the weights."""
    return optax.chain(optax.stateless(lambda gradients, _: centred(gradients)), optimizer)


def centred_weights(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """The optimiser, with the weights centred after its step."""

    def onto_centred(updates: Any, params: Any) -> Any:
        return jax.tree.map(jnp.subtract, centred(optax.apply_updates(params, updates)), params)

    return optax.chain(optimizer, optax.stateless(onto_centred))


def centring_routes(
    _: Array, optimizer: str, centred_start: bool, networks: int, batch_size: int, steps: int, seed: int
) -> list[Measurement]:
    """Distance of the weights that the two routes lead to, and the mean of weights whose gradients were centred, by network.

    ReLU networks without normalisation, three hidden layers of 64 neurons, cross-entropy on the bundled digits, in JAX's default
    precision. Both routes begin with the same weights and see the same batches. The derived key is not used: networks and batches
    are the same for every optimiser and start.

    Source: MimicNorm (arXiv 2010.09278), supplement C; claim MN-8.

    Args:
        optimizer: "sgd" (learning rate 0.05, momentum 0.9, weight decay 5e-4 added to the gradient) or "adam" (1e-3, no decay).
        centred_start: Whether the weights are centred at the start.
        networks: Independent networks, each with batches of its own.
        batch_size: Samples of a batch, drawn without replacement.
        steps: Of the optimiser.
        seed: Of everything random.
    """
    x, labels = jnp.asarray(data.standardize(data.digits().x)), jnp.asarray(data.digit_labels(), int)
    found = [
        _routes(key, x, labels, optimizer=optimizer, centred_start=centred_start, batch_size=batch_size, steps=steps)
        for key in jax.random.split(jax.random.key(seed), networks)
    ]
    distances, means = np.array(found).T
    method = f"{networks} networks, {steps} steps"
    return [
        Measurement(name, Series(values, np.zeros(networks), networks, np.arange(networks)), method)
        for name, values in (("distance", distances), ("mean_of_weights", means))
    ]


@compiled("optimizer", "centred_start", "batch_size", "steps", optimization=1)
def _routes(
    key: Array, x: Array, labels: Array, *, optimizer: str, centred_start: bool, batch_size: int, steps: int
) -> tuple[Array, Array]:
    params_key, batch_key = jax.random.split(key)
    start = init(params_key, (x.shape[1], *HIDDEN, CLASSES), scaled=False)
    rows = jax.vmap(lambda key: jax.random.choice(key, len(x), (batch_size,), replace=False))(
        jax.random.split(batch_key, steps)
    )
    by_weights, by_gradients = (
        descend(
            _loss, centred(start) if centred_start else start, x[rows], labels[rows], route(OPTIMIZERS[optimizer]())
        )
        for route in (centred_weights, centred_gradients)
    )
    return distance(by_weights, by_gradients), largest_mean(by_gradients)


def _loss(params: Dense, x: Array, labels: Array) -> Array:
    return cross_entropy(apply(params, x, (identity,) * len(HIDDEN)), labels)


def distance(one: Dense, other: Dense) -> Float[Array, ""]:
    """Root mean square of the difference of the weights of all layers, over that of the weights of `one`."""
    return _norm(jax.tree.map(jnp.subtract, one.weights, other.weights)) / _norm(one.weights)


def largest_mean(params: Dense) -> Float[Array, ""]:
    """The largest mean, in magnitude, of a neuron's incoming weights, over the root mean square of the weights of all layers."""
    means = jnp.concatenate([jnp.mean(weights, axis=0) for weights in params.weights])
    count = sum(weights.size for weights in params.weights)
    return jnp.max(jnp.abs(means)) / (_norm(params.weights) / count**0.5)


_norm = functools.partial(optax.tree.norm)
