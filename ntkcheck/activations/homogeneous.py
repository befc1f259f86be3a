"""Positively homogeneous activations: phi(t) = t for t > 0 and alpha t for t <= 0 (ReLU, leaky ReLU, abs, identity)."""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.activations.activation import Activation
from ntkcheck.activations.bivariate import arc_cosine, arc_sine, determinant


def relu() -> Activation:
    """The rectifier max(t, 0): slope 0."""
    return homogeneous("relu", 0.0)


def leaky_relu(slope: float = 0.01) -> Activation:
    """The leaky rectifier with the given slope on negative inputs.

    Args:
        slope: alpha, any finite number.
    """
    return homogeneous("leaky_relu", float(slope))


def absolute() -> Activation:
    """The absolute value: slope -1."""
    return homogeneous("abs", -1.0)


def identity() -> Activation:
    """The identity: slope 1."""
    return homogeneous("identity", 1.0)


@functools.cache
def homogeneous(name: str, slope: float) -> Activation:
    """The activation of the given negative-side slope alpha.

    With R = E[relu(u) relu(v)] = (s + k12 (pi - theta)) / (2 pi), s^2 = q1 q2 - k12^2, theta = arctan2(s, k12):
    E[phi(u) phi(v)] = (1 - alpha)^2 R + alpha k12, because phi(t) = (1 - alpha) relu(t) + alpha t and
    E[relu(u) v] = k12 / 2.

    Source: Cho & Saul (2009), Kernel methods for deep learning, section 2 (slope 0).

    Args:
        name: the activation's name.
        slope: alpha, any finite number.

    Raises:
        ValueError: the slope is not finite.
    """
    if not math.isfinite(slope):
        raise ValueError(f"`slope` must be finite, got {slope}; 0 is the ReLU, -1 the absolute value, 1 the identity.")
    return Activation(
        name=name,
        phi=functools.partial(_phi, alpha=slope),
        duals=functools.partial(_duals, alpha=slope),
        mean=lambda q: (1 - slope) * jnp.sqrt(q / (2 * math.pi)),
        second_moment=lambda q: (1 + slope**2) / 2 * q,
        derivative_second_moment=lambda q: jnp.full_like(q, (1 + slope**2) / 2),
        slope=slope,
    )


def _phi(t: Array, alpha: float) -> Array:
    return jnp.where(t > 0, t, alpha * t)


def _duals(q1: Array, q2: Array, k12: Array, alpha: float) -> tuple[Array, Array]:
    r, r_dot, sign = rectifier_duals(q1, q2, k12)
    dual = (1 - alpha) ** 2 * r + alpha * k12
    if alpha >= 0:
        return dual, (1 - alpha) ** 2 * r_dot + alpha
    # The same, arranged so that it keeps its digits where it vanishes (alpha = -1, c = 0).
    return dual, ((1 + alpha) / 2) ** 2 + ((1 - alpha) / 2) ** 2 * sign


@jax.custom_jvp
def rectifier_duals(
    q1: Float[Array, "..."], q2: Float[Array, "..."], k12: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]]:
    """The three expectations E[relu(u) relu(v)], E[relu'(u) relu'(v)] and E[sign(u) sign(v)].

    In float64 their relative error is below 1e-15, except that of the first near c = -1, where it falls like
    (1 + c)^(3/2) and the determinant's own error gives 3e-24 / (1 + c).

    Their derivatives are in closed form and finite on the boundary |c| = 1 and at q = 0. The second and third have a
    cusp at |c| = 1, the first a square root in q at q = 0: there the rule returns the derivative along the ray of
    constant correlation, which is 0. At q1 q2 = 0 the correlation, undefined, counts as 0.

    Args:
        q1: variance of u, >= 0.
        q2: variance of v, >= 0; q1 q2 >= 1e-290 in float64, 1e-30 in float32, for full precision.
        k12: covariance of u and v.
    """
    s = jnp.sqrt(determinant(q1, q2, k12))
    j0, r_j1 = arc_cosine(k12, s)
    return r_j1 / (2 * math.pi), j0 / (2 * math.pi), 2 / math.pi * arc_sine(k12, s)


@rectifier_duals.defjvp
def _rectifier_duals_jvp(
    primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
    (q1, q2, k12), (dq1, dq2, dk12) = primals, tangents
    r, r_dot, sign = rectifier_duals(q1, q2, k12)
    s = jnp.sqrt(determinant(q1, q2, k12))
    dlog_q1_q2 = dq1 * _reciprocal(q1) + dq2 * _reciprocal(q2)
    dr = r_dot * dk12 + s / (4 * math.pi) * dlog_q1_q2
    dr_dot = (dk12 - k12 / 2 * dlog_q1_q2) * _reciprocal(2 * math.pi * s)
    return (r, r_dot, sign), (dr, dr_dot, 4 * dr_dot)


def _reciprocal(x: Array) -> Array:
    """1 / x for x > 0, and 0 at x = 0."""
    return jnp.where(x > 0, 1, 0) / jnp.where(x > 0, x, 1)
