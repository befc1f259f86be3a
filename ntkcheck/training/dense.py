"""Small dense networks with any of the library's normalisers: [Dense, normaliser, scale and shift, ReLU] x depth, then Dense."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from ntkcheck.normalizers import Function, Normalizer
from ntkcheck.normalizers.groups import covariance
from ntkcheck.snd import statistics_function


class Dense(NamedTuple):
    """Trained parameters of a network.

    Attributes:
        weights: (fan-in, fan-out) of every layer, the readout last.
        scales: gamma of every hidden layer; none where nothing is normalised.
        shifts: beta of every hidden layer, then the readout's bias.
    """

    weights: tuple[Float[Array, "fan_in fan_out"], ...]
    scales: tuple[Float[Array, " fan_out"], ...]
    shifts: tuple[Float[Array, " fan_out"], ...]


def init(key: Array, sizes: Sequence[int], scaled: bool = True, dtype: jnp.dtype | type = float) -> Dense:
    """Gaussian weights of variance 2 / fan-in, scales of 1 and shifts of 0.

    Source: He et al. 2015, Delving deep into rectifiers, for the variance.

    Args:
        key: Of the weights.
        sizes: Features of the inputs, neurons of every hidden layer, outputs.
        scaled: Whether there are scales.
        dtype: Of all parameters.
    """
    keys = jax.random.split(key, len(sizes) - 1)
    shapes = itertools.pairwise(sizes)
    weights = tuple(
        (2 / shape[0]) ** 0.5 * jax.random.normal(k, shape, dtype) for k, shape in zip(keys, shapes, strict=True)
    )
    scales = tuple(jnp.ones(n, dtype) for n in sizes[1:-1]) if scaled else ()
    return Dense(weights, scales, tuple(jnp.zeros(n, dtype) for n in sizes[1:]))


def apply(
    params: Dense, x: Float[Array, "batch features"], normalize: Sequence[Function]
) -> Float[Array, "batch classes"]:
    """Outputs of the network, `normalize[l]` being the normaliser of hidden layer l."""
    for layer, function in enumerate(normalize):
        x = _activations(params, layer, function(x @ params.weights[layer]))
    return x @ params.weights[-1] + params.shifts[-1]


def pre_activations(
    params: Dense, x: Float[Array, "samples features"], kind: Normalizer
) -> list[Float[Array, "samples neurons"]]:
    """What the normaliser of every hidden layer is given, where all samples are one batch."""
    found = []
    for layer in range(len(params.weights) - 1):
        found.append(x @ params.weights[layer])
        x = _activations(params, layer, kind.function(found[-1]))
    return found


def frozen(kind: Normalizer, population: Float[Array, "samples features"], eps: float) -> Function:
    """The normaliser with mean and covariance of a population in place of the batch's: a function of each sample alone.

    On the population itself it is the normaliser with the population as its batch.

    Args:
        kind: A normaliser that is a function of mean and covariance (BatchNorm, ZCA, IterNorm, ...).
        population: Pre-activations whose statistics are kept.
        eps: Added to variances, as by the normaliser itself.

    Raises:
        ValueError: For a normaliser that is no function of mean and covariance.
    """
    function, mean = statistics_function(kind), jnp.mean(population, axis=0, keepdims=True)

    def grouped(x: Array) -> Array:
        return x.reshape(len(x), -1, kind.group_size or 1)

    means = grouped(mean)[0]
    covariances = jax.vmap(covariance, in_axes=(1, None))(grouped(population - mean), eps)
    each = jax.vmap(jax.vmap(function), in_axes=(0, None, None))
    return lambda x: each(grouped(x), means, covariances).reshape(x.shape)


def descend(
    loss: Callable[[Dense, Array, Array], Array],
    params: Dense,
    x: Float[Array, "steps batch features"],
    labels: Int[Array, "steps batch"],
    optimizer: optax.GradientTransformation,
) -> Dense:
    """The parameters after one step of the optimiser on every batch in turn.

    Args:
        loss: (parameters, inputs, labels) -> loss of a batch.
        params: At the start.
        x: Batches of inputs, in the order in which they are seen.
        labels: Their classes.
        optimizer: Makes steps of gradients.
    """

    def step(state: Any, batch: tuple[Array, Array]) -> tuple[Any, None]:
        params, memory = state
        updates, memory = optimizer.update(jax.grad(loss)(params, *batch), memory, params)
        return (optax.apply_updates(params, updates), memory), None

    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), (x, labels))
    return params


def _activations(params: Dense, layer: int, normalized: Array) -> Array:
    scaled = normalized * params.scales[layer] if params.scales else normalized
    return jax.nn.relu(scaled + params.shifts[layer])
