"""Normalisers that remember earlier batches: a state is passed from batch to batch."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class SequenceNormalizer(NamedTuple):
    """A normaliser of a sequence of batches, as pure functions.

    Attributes:
        name: What it is called.
        start: x (samples, features) -> the state that has seen nothing but the statistics of x.
        step: (state, x) -> the normalised batch and the state that has seen it.
        memory: Number of batches after which the start is forgotten, to e^-8 of its weight or entirely.
    """

    name: str
    start: Callable[[Float[Array, "samples features"]], Any]
    step: Callable[[Any, Float[Array, "batch features"]], tuple[Float[Array, "batch features"], Any]]
    memory: int


class MovingMoments(NamedTuple):
    """Moving mean and variance of each feature."""

    mean: Float[Array, "1 features"]
    variance: Float[Array, "1 features"]


def moments(x: Float[Array, "samples features"]) -> MovingMoments:
    """Mean and biased variance over samples."""
    mean = jnp.mean(x, axis=0, keepdims=True)
    return MovingMoments(mean, jnp.mean((x - mean) ** 2, axis=0, keepdims=True))


def mean_square(x: Float[Array, "samples features"]) -> Float[Array, "1 features"]:
    """Second moment about 0 over samples."""
    return jnp.mean(x**2, axis=0, keepdims=True)


def forgetting_time(momentum: float) -> int:
    """Batches after which (1 - momentum)^k is below e^-8.

    Raises:
        ValueError: Unless `momentum`, the weight of the newest batch, lies in (0, 1].
    """
    if not 0 < momentum <= 1:
        raise ValueError(f"`momentum` must be the weight of the newest batch, in (0, 1], got {momentum}; 0.1 is usual.")
    return 1 if momentum == 1 else math.ceil(8 / -math.log1p(-momentum))
