"""Gaussian expectations divided by powers of |v|^2, as one integral over a tilted Gaussian.

E[f(v) |v|^(-2k)] = int_0^inf s^(k-1)/(k-1)! det(I + 2 s Sigma)^(-1/2) E_{N(0, Sigma_s)}[f(v)] ds,
Sigma_s = Sigma (I + 2 s Sigma)^(-1).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Trapezoidal rule in x after s = exp(x - exp(-x)), in units of the trace, so that the determinant starts to fall at x = 0. The
# integrands are analytic in a strip of half-width pi/2 at most around the real axis: the discretisation error is about
# exp(-2 pi (pi/2) / STEP) = 5e-15. The left end is where ds falls below 1e-16, the right end where the integrand is CUT of its
# largest value. In units of the largest eigenvalue the strip shrinks with the batch and the same step gives 1e-4 at B = 128.
STEP = 0.3
FIRST = -3.6
CUT = 1e-13
MOST_NODES = 280  # up to s = exp(80), which float32 still represents
CHUNK = 8  # nodes handled at once: enough for batched matrix products, few enough for the cache


class Spectrum(NamedTuple):
    """Eigendecomposition of a centred covariance in units of its trace, its null space set to 0 exactly.

    Attributes:
        values: Eigenvalues divided by `scale`.
        vectors: Orthonormal columns.
        scale: The trace.
    """

    values: Float[Array, " batch"]
    vectors: Float[Array, "batch batch"]
    scale: Float[Array, ""]

    def tilted(self, s: Float[Array, " nodes"]) -> Float[Array, "nodes batch batch"]:
        """Sigma_s = Sigma (I + 2 s Sigma)^(-1) for each s, both in units of `scale`."""
        damped = self.values / (1 + 2 * s[:, None] * self.values)
        return (self.vectors * damped[:, None, :]) @ self.vectors.T


def centre(matrix: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
    """G M G: subtract the mean of each column, then of each row."""
    rows = matrix - jnp.mean(matrix, axis=0, keepdims=True)
    return rows - jnp.mean(rows, axis=1, keepdims=True)


def spectrum(sigma: Float[Array, "batch batch"]) -> Spectrum:
    """Eigendecomposition of a covariance; eigenvalues within rounding of 0 are its null space."""
    values, vectors = jnp.linalg.eigh(sigma)
    tolerance = sigma.shape[0] * jnp.finfo(sigma.dtype).eps * values[-1]
    values = jnp.where(values > tolerance, values, 0)
    scale = jnp.sum(values)
    return Spectrum(values / scale, vectors, scale)


def rank(sigma: Spectrum) -> Float[Array, ""]:
    """Number of directions in which the batch varies."""
    return jnp.sum(sigma.values > 0)


class Dual(NamedTuple):
    """V = E[phi(a) phi(b)] of a bivariate Gaussian, and its derivatives in the variances q_1, q_2 and the covariance c."""

    v: Float[Array, "..."]
    v_1: Float[Array, "..."]
    v_2: Float[Array, "..."]
    v_c: Float[Array, "..."]


def symmetric_dual(covariance: Float[Array, "... batch batch"], slope: float) -> Dual:
    """Dual of phi(t) = t for t > 0 and slope t for t <= 0 for every pair of one batch."""
    q = jnp.diagonal(covariance, axis1=-2, axis2=-1)
    q1, q2 = q[..., :, None], q[..., None, :]
    off_diagonal = 1 - jnp.eye(q.shape[-1], dtype=q.dtype)
    return homogeneous_dual(q1, q2, covariance, determinant_root(q1, q2, covariance) * off_diagonal, slope)


def determinant_root(q1: Float[Array, "..."], q2: Float[Array, "..."], c: Float[Array, "..."]) -> Float[Array, "..."]:
    """sqrt(q_1 q_2 - c^2); a duplicate's determinant is 0 up to rounding of either sign."""
    return jnp.sqrt(jnp.maximum(q1 * q2 - c**2, 0))


def homogeneous_dual(
    q1: Float[Array, "..."], q2: Float[Array, "..."], c: Float[Array, "..."], root: Float[Array, "..."], slope: float
) -> Dual:
    """Dual of phi(t) = t for t > 0 and slope t for t <= 0, with its first derivatives.

    With phi(t) = a t + b |t|, a = (1 + slope)/2, b = (1 - slope)/2 and D = q_1 q_2 - c^2 = root^2:
    V_c = E[phi' phi'] = a^2 + (2 b^2 / pi) arcsin(rho); V_1 = E[phi'' phi] / 2 = (b^2 / pi) sqrt(D) / q_1;
    V = q_1 V_1 + q_2 V_2 + c V_c, because V is homogeneous of degree 1.
    """
    a, b = (1 + slope) / 2, (1 - slope) / 2
    v_c = a**2 + 2 * b**2 / jnp.pi * jnp.arctan2(c, root)
    v_1, v_2 = (b**2 / jnp.pi * root / jnp.where(q > 0, q, 1) for q in (q1, q2))  # a sample at the mean: q = root = 0
    return Dual(2 * b**2 / jnp.pi * root + c * v_c, v_1, v_2, v_c)


def integrate(integrand: Callable[[Array], Any], values: Float[Array, " batch"], power: int) -> Any:
    """int_0^inf integrand(s) det(I + 2 s Sigma)^(-1/2) ds.

    Args:
        integrand: Of a vector of nodes s (in units of 1 / trace); an array or a tuple of arrays, node first.
        values: Eigenvalues of Sigma in units of their sum.
        power: The integrand falls like s^(power - 1) at worst, apart from the determinant; the range follows from it.
    """
    last = _last_node(values, power)

    def add_chunk(chunk, total):
        s, ds = _nodes(chunk, last, values.dtype)
        weight = ds * jnp.exp(_log_weight(values, s))
        return jax.tree.map(lambda sum_, f: sum_ + jnp.tensordot(weight, f, axes=1), total, integrand(s))

    shapes = jax.eval_shape(integrand, jax.ShapeDtypeStruct((CHUNK,), values.dtype))
    zeros = jax.tree.map(lambda f: jnp.zeros(f.shape[1:], f.dtype), shapes)
    return jax.lax.fori_loop(0, (last + CHUNK - 1) // CHUNK, add_chunk, zeros)


def _log_weight(values: Float[Array, " batch"], s: Float[Array, " nodes"]) -> Float[Array, " nodes"]:
    """log det(I + 2 s Sigma)^(-1/2), summed as logarithms because the product underflows."""
    return -0.5 * jnp.sum(jnp.log1p(2 * s[:, None] * values), axis=1)


def _map(x: Float[Array, " nodes"]) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
    """s = exp(x - exp(-x)) and ds/dx: double-exponential where s -> 0, single-exponential where s -> infinity."""
    s = jnp.exp(x - jnp.exp(-x))
    return s, s * (1 + jnp.exp(-x))


def _last_node(values: Float[Array, " batch"], power: int) -> Array:
    """Index of the node from which on s^power det(I + 2 s Sigma)^(-1/2) is below CUT of its largest value."""
    s, _ = _map((FIRST + STEP * jnp.arange(MOST_NODES)).astype(values.dtype))
    log_size = power * jnp.log(s) + _log_weight(values, s)
    cut = max(CUT, float(jnp.finfo(values.dtype).eps))
    return MOST_NODES - jnp.argmax((log_size > jnp.max(log_size) + math.log(cut))[::-1])


def _nodes(chunk: Array, last: Array, dtype: Any) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
    """Nodes and weights of one chunk of the trapezoidal rule; weights are 0 from `last` on."""
    index = chunk * CHUNK + jnp.arange(CHUNK)
    s, ds = _map((FIRST + STEP * index).astype(dtype))
    return s, jnp.where(index < last, STEP * ds, 0)
