"""The determinant and the angles of a 2 x 2 covariance, to full relative precision.

With c = k12 / sqrt(q1 q2) = cos theta, every closed-form dual is made of the determinant q1 q2 - k12^2 = q1 q2 sin^2 theta,
arcsin c, J_0 = pi - theta and J_1 = sin theta + (pi - theta) cos theta (Cho & Saul 2009, Kernel methods for deep
learning, section 2). Near c = 1 the first loses its digits in the subtraction, near c = -1 the last. Both are rearranged here so
that they lose none. XLA's own inverse trigonometric functions on CPU cost five to ten times the arctangent below.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_TAN_PI_8 = math.sqrt(2) - 1

# (arctan(sqrt z) / sqrt z - 1) / z on 0 <= z <= tan^2(pi/8), ascending powers, from mpmath.chebyfit with 12 coefficients:
# relative error 1e-18 before, 6e-17 after rounding the coefficients to float64.
_ARCTANGENT_TAIL = (
    -0.3333333333333333,
    0.19999999999999804,
    -0.14285714285659828,
    0.11111111105155447,
    -0.09090908753500877,
    0.07692296375032143,
    -0.06666424885738255,
    0.05878928997834775,
    -0.05230454270650244,
    0.04551593220626549,
    -0.034570561981427744,
    0.016285756855221028,
)


@jax.custom_jvp
def determinant(q1: Float[Array, "..."], q2: Float[Array, "..."], k12: Float[Array, "..."]) -> Float[Array, "..."]:
    """The determinant max(q1 q2 - k12^2, 0), to one rounding and 4e-24 q1 q2 in float64 (plainly: 1e-16 q1 q2).

    Each factor is split into two halves whose products are exact, so the large parts cancel without rounding, whether
    or not the compiler contracts a product and a sum into one instruction. The maximum projects onto the admissible
    covariances; it acts where k12 exceeds sqrt(q1 q2) by rounding. The derivative is that of q1 q2 - k12^2 throughout.
    """
    (high1, low1), (high2, low2), (high, low) = _halves(q1), _halves(q2), _halves(k12)
    leading = high1 * high2 - high * high
    middle = (high1 * low2 + low1 * high2) - 2 * (high * low)
    return jnp.maximum(leading + (middle + (low1 * low2 - low * low)), 0)


@determinant.defjvp
def _determinant_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    (q1, q2, k12), (dq1, dq2, dk12) = primals, tangents
    return determinant(q1, q2, k12), q2 * dq1 + q1 * dq2 - 2 * k12 * dk12


@jax.custom_jvp
def arc_sine(k: Float[Array, "..."], s: Float[Array, "..."]) -> Float[Array, "..."]:
    """The angle arcsin(k / sqrt(k^2 + s^2)) = arctan2(k, s).

    Args:
        k: a covariance.
        s: the root of the matching determinant, > 0.
    """
    _, offset, z, tail = _reduced_arctangent(k, s)
    angle = (math.pi / 2 - offset) - (z + z * tail)
    return jnp.where(k < 0, -angle, angle)


@arc_sine.defjvp
def _arc_sine_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (k, s), (dk, ds) = primals, tangents
    return arc_sine(k, s), (s * dk - k * ds) / (k * k + s * s)


@jax.custom_jvp
def arc_cosine(k: Float[Array, "..."], s: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """The arc-cosine kernels J_0 = pi - theta and r J_1 = s + k J_0 with theta = arctan2(s, k), r = sqrt(k^2 + s^2).

    Towards theta = pi, s + k J_0 falls like (pi - theta)^3 / 3: there it is summed without the two terms that cancel.
    k = s = 0 counts as theta = pi/2.

    Args:
        k: a covariance.
        s: the root of the matching determinant, >= 0.
    """
    low, offset, z, tail = _reduced_arctangent(k, s)
    j0 = jnp.where(k < 0, offset + (z + z * tail), (math.pi - offset) - (z + z * tail))
    return j0, jnp.where(low & (k < 0), -s * tail, s + k * j0)


@arc_cosine.defjvp
def _arc_cosine_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    (k, s), (dk, ds) = primals, tangents
    j0, r_j1 = arc_cosine(k, s)
    dj0 = (s * dk - k * ds) / (k * k + s * s)
    return (j0, r_j1), (dj0, j0 * dk + s * (s * ds + k * dk) / (k * k + s * s))


def _halves(x: Array) -> tuple[Array, Array]:
    """x as a sum of two numbers of half its precision."""
    x = jnp.asarray(x)
    bits = jnp.finfo(x.dtype)
    high = jax.lax.reduce_precision(x, exponent_bits=bits.nexp, mantissa_bits=(bits.nmant - 1) // 2)
    return high, x - high


def _reduced_arctangent(k: Array, s: Array) -> tuple[Array, Array, Array, Array]:
    """(low, offset, z, tail) with arctan2(s, |k|) = offset + z + z tail; where `low`, offset = 0 and z = s / |k|."""
    x = jnp.abs(k)
    low, high = s < _TAN_PI_8 * x, x <= _TAN_PI_8 * s
    numerator = jnp.where(low, s, jnp.where(high, -x, s - x))
    denominator = jnp.where(low, x, jnp.where(high, s, s + x))
    zero, quarter, eighth = (jnp.asarray(turn * math.pi / 2, x.dtype) for turn in (0, 1, 0.5))
    offset = jnp.where(low, zero, jnp.where(high, quarter, eighth))
    z = numerator / jnp.where(denominator > 0, denominator, 1)  # 0 / 0 at k = s = 0 only
    return low, offset, z, z * z * jnp.polyval(jnp.asarray(_ARCTANGENT_TAIL[::-1], x.dtype), z * z, unroll=16)
