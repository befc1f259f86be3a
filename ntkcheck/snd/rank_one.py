"""Normalised anchors from their mates' statistics: one more sample changes mean and covariance by a rank-one term.

With m - 1 mates of mean a and biased covariance A, and v = x - a, the batch {x} + mates has the mean a + v / m and the covariance
((m - 1)/m) (A + v v^T / m), and x lies ((m - 1)/m) v from its mean. So the anchor is normalised to

    F(B; x) = sqrt((m - 1)/m) R(A + v v^T / m) v,    R the normaliser's root: of the diagonal, of the matrix, or Newton's.

Statistics of mates thus serve any number of anchors. `eps`, which is added to the batch's covariance, is eps m / (m - 1) in A.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck.compilation import compiled
from ntkcheck.snd.chebyshev import newton_coefficients
from ntkcheck.snd.inverse_root import inverse_root_nodes


class Mates(NamedTuple):
    """Statistics of the mates of each draw, for every group of features.

    Attributes:
        mean: (draws, groups, group).
        covariance: (draws, groups, group, group), eps m / (m - 1) on the diagonal included.
        values: Eigenvalues of the covariance; empty where the rule has no use for them.
        vectors: Its eigenvectors, likewise.
    """

    mean: Array
    covariance: Array
    values: Array
    vectors: Array


def mates_statistics(
    mates: Float[Array, "mates features"], group_size: int, eps: float
) -> tuple[Float[Array, "groups group"], Float[Array, "groups group group"]]:
    """Mean and covariance of the m - 1 mates of one draw."""
    count, features = mates.shape
    mean = jnp.mean(mates, axis=0, keepdims=True)
    grouped = (mates - mean).reshape(count, features // group_size, group_size)
    covariance = jnp.einsum("bng,bnh->ngh", grouped, grouped) / count
    shift = eps * (count + 1) / count * jnp.eye(group_size, dtype=mates.dtype)
    return mean.reshape(-1, group_size), covariance + shift


def largest_eigenvalue_bound(covariance: Float[Array, "*draws group group"]) -> Float[Array, "*draws"]:
    """(tr A^8)^(1/8), at least the largest eigenvalue and at most g^(1/8) times it."""
    trace = jnp.trace(covariance, axis1=-2, axis2=-1)
    scaled = covariance / trace[..., None, None]
    squared = scaled @ scaled
    return trace * jnp.sum((squared @ squared) ** 2, axis=(-2, -1)) ** 0.125


def zca_outputs(v: Float[Array, "groups anchors group"], mates: Mates, nodes: Any, batch_size: int) -> Array:
    """(A + v v^T / m)^(-1/2) v by Sherman & Morrison's formula at every node of the inverse root's quadrature."""
    shifts, weights = nodes
    w = v @ mates.vectors

    def add(total, node):
        shift, weight = node
        solved = w / (mates.values[:, None, :] + shift)
        along = jnp.sum(w * solved, axis=2, keepdims=True)
        return total + weight * solved / (1 + along / batch_size), None

    rotated, _ = jax.lax.scan(add, jnp.zeros_like(w), (shifts, weights))
    return rotated @ jnp.swapaxes(mates.vectors, 1, 2)


def iter_norm_outputs(v: Float[Array, "groups anchors group"], mates: Mates, expansion: Any, batch_size: int) -> Array:
    """p_T(S) v / sqrt(tr), S = (A + v v^T / m) / tr, by the three-term recurrence of Chebyshev polynomials on [0, end]."""
    coefficients, end = expansion
    trace = jnp.trace(mates.covariance, axis1=1, axis2=2)[:, None, None] + jnp.sum(v**2, 2, keepdims=True) / batch_size

    def times(t):  # (2 S / end - 1) t
        product = t @ mates.covariance + v * (jnp.sum(v * t, axis=2, keepdims=True) / batch_size)
        return product * (2 / (end * trace)) - t

    def add(carry, coefficient):
        before, now, total = carry
        return (now, 2 * times(now) - before, total + coefficient * now), None

    first = times(v)
    (*_, total), _ = jax.lax.scan(add, (v, first, coefficients[0] * v), coefficients[1:])
    return total / jnp.sqrt(trace)


def batch_norm_outputs(v: Float[Array, "groups anchors group"], mates: Mates, _: Any, batch_size: int) -> Array:
    """v / sqrt(a + v^2 / m), feature by feature."""
    return v / jnp.sqrt(mates.covariance + v**2 / batch_size)


def plan_iter_norm(mates: Mates, furthest: Float[Array, " groups"], batch_size: int, iterations: int) -> Any:
    """Newton's polynomial on an interval that holds every eigenvalue of S, for any draw and anchor."""
    bound = float(_largest_share(mates.covariance, furthest / batch_size))
    return newton_coefficients(iterations, min(1.0, bound * (1 + 1e-6)), mates.mean.dtype)


@compiled()
def _largest_share(covariance: Array, added: Array) -> Array:
    """A bound on the eigenvalues of (A + v v^T / m) / tr, which grows with |v|^2 / m."""
    trace = jnp.trace(covariance, axis1=2, axis2=3)
    return jnp.max((largest_eigenvalue_bound(covariance) + added) / (trace + added))


def plan_zca(mates: Mates, furthest: Float[Array, " groups"], batch_size: int) -> Any:
    """Nodes for an interval that holds every eigenvalue of A + v v^T / m, for any draw and anchor."""
    values = np.asarray(mates.values, np.float64)
    high = values.max() + float(jnp.max(furthest)) / batch_size
    return inverse_root_nodes(float(values.min()), high, mates.mean.dtype)
