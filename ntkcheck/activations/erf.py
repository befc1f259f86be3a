"""The error function: the arcsine kernel."""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ntkcheck.activations.activation import Activation
from ntkcheck.activations.bivariate import arc_sine, determinant


@functools.cache
def erf() -> Activation:
    """The error function.

    E[erf(u) erf(v)] = (2 / pi) arcsin(2 k12 / sqrt((1 + 2 q1)(1 + 2 q2))) = (2 / pi) arctan2(2 k12, sqrt D) and
    E[erf'(u) erf'(v)] = (4 / pi) / sqrt D, with D = (1 + 2 q1)(1 + 2 q2) - 4 k12^2 = 1 + 2 q1 + 2 q2 + 4 det: a sum of
    positive terms, where the arcsine would lose its digits near 1.

    Source: Williams (1997), Computing with infinite networks (the sigmoidal transfer function).
    """
    return Activation(
        name="erf",
        phi=jax.scipy.special.erf,
        duals=lambda q1, q2, k12: _duals(q1, q2, k12, determinant(q1, q2, k12)),
        mean=jnp.zeros_like,
        second_moment=lambda q: _duals(q, q, q, jnp.zeros_like(q))[0],
        derivative_second_moment=lambda q: _duals(q, q, q, jnp.zeros_like(q))[1],
    )


def _duals(q1: Array, q2: Array, k12: Array, det: Array) -> tuple[Array, Array]:
    root = jnp.sqrt(1 + 2 * q1 + 2 * q2 + 4 * det)
    return 2 / math.pi * arc_sine(2 * k12, root), 4 / math.pi / root
