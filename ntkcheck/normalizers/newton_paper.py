"""IterNorm's iteration as the paper writes it, which amplifies rounding errors, and where that ends its use."""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck.normalizers.groups import check_groups, covariance, over_groups
from ntkcheck.normalizers.iter_norm import check_iterations


class Breakdown(NamedTuple):
    """How the paper's form fares on one covariance.

    Attributes:
        iterations: T.
        condition: Condition number of the covariance.
        dtype: Name of the floating-point type.
        error: Largest error of the eigenvalues that P_T whitens to, relative to exact arithmetic's; inf where P_T overflows.
        broken: Whether the error exceeds the tolerance.
        reason: What happened, or None.
    """

    iterations: int
    condition: float
    dtype: str
    error: float
    broken: bool
    reason: str | None


def newton_paper(matrix: Float[Array, "group group"], iterations: int) -> Float[Array, "group group"]:
    """Iterate P <- 1.5 P - 0.5 P^3 S from P = I, as published; `newton_inverse_root` is the stable form.

    In exact arithmetic P commutes with S. A rounding error in row a, column b of its eigenbasis is multiplied in a step by
    1.5 - (p_a^2 + p_a p_b + p_b^2) s_b / 2, near convergence by 1 - (r + sqrt(r)) / 2 with r = s_b / s_a: by more than 1 in
    magnitude where r exceeds 2.44.

    Source: IterNorm (arXiv 1904.03441), Newton's iteration and the algorithm of the forward pass.

    Args:
        matrix: Symmetric, eigenvalues in (0, 3); IterNorm divides the covariance by its trace.
        iterations: T, at least 1.
    """
    p = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    for _ in range(iterations):
        p = 1.5 * p - 0.5 * (p @ p @ p) @ matrix
    return p


def iter_norm_paper(
    x: Float[Array, "batch features"], group_size: int = 16, iterations: int = 5, eps: float = 0.0
) -> Float[Array, "batch features"]:
    """IterNorm with the paper's own iteration: the map of `iter_norm` in exact arithmetic, unstable for many steps.

    Source: IterNorm (arXiv 1904.03441), algorithm of the forward pass.

    Args:
        x: Pre-activations, any scale.
        group_size: Features per group; must divide `features`.
        iterations: T, the number of Newton steps, at least 1.
        eps: Added to the diagonal of the covariance.

    Raises:
        ValueError: If the groups do not divide the features or `iterations` is not a positive whole number.
    """
    check_groups(x.shape[1], group_size)
    check_iterations(iterations)

    def whiten(centred):
        sigma = covariance(centred, eps)
        trace = jnp.trace(sigma)
        return centred @ newton_paper(sigma / trace, iterations).T / jnp.sqrt(trace)

    return over_groups(whiten, x, group_size)


def breakdown(
    condition: float,
    iterations: int,
    group_size: int = 16,
    dtype: str = "float64",
    tolerance: float = 1e-2,
    seed: int = 0,
) -> Breakdown:
    """How far the paper's form is from exact arithmetic on a covariance with eigenvalues in geometric progression.

    The covariance is D diag(lambda) D^T / tr with D uniformly distributed; the error is max |P_T S P_T - p_T(S)^2 S|, the latter
    eigenvalue by eigenvalue, whose scalar iteration is stable. Exact values are at most 1.

    Args:
        condition: Ratio of the largest to the smallest eigenvalue, at least 1.
        iterations: T, at least 1.
        group_size: Number of eigenvalues, at least 2.
        dtype: "float32" or "float64" (which has to be enabled in JAX).
        tolerance: The error from which on the result counts as broken.
        seed: Of D.

    Returns:
        The finding; an overflow is an error of inf with its reason, not an exception.

    Raises:
        ValueError: For a condition number below 1 or a number of steps below 1.
    """
    check_iterations(iterations)
    if not 1 <= condition < np.inf:
        raise ValueError(f"`condition` must be finite and at least 1, got {condition}; try 1e3.")
    eigenvalues = np.geomspace(1, 1 / condition, group_size)
    eigenvalues /= eigenvalues.sum()
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((group_size, group_size)))[0]
    s = (basis * eigenvalues) @ basis.T
    found = np.asarray(_compiled_paper(jnp.asarray(s, dtype), iterations=iterations), np.float64)
    p = np.ones(group_size)
    for _ in range(iterations):
        p = 1.5 * p - 0.5 * p**3 * eigenvalues
    exact = (basis * (p**2 * eigenvalues)) @ basis.T
    with np.errstate(over="ignore", invalid="ignore"):
        error = float(np.max(np.abs(found @ s @ found.T - exact)))
    error = error if np.isfinite(error) else np.inf
    reason = None
    if error > tolerance:
        reason = "rounding errors overflowed" if np.isinf(error) else f"rounding errors grew to {error:.1e}"
    return Breakdown(iterations, float(condition), dtype, error, error > tolerance, reason)


def breakdown_map(
    conditions: Sequence[float],
    iterations: Sequence[int],
    dtypes: Sequence[str] = ("float32", "float64"),
    group_size: int = 16,
) -> list[Breakdown]:
    """`breakdown` for every combination of condition number, number of steps and dtype.

    Args:
        conditions: Condition numbers, at least 1.
        iterations: Numbers of Newton steps, at least 1.
        dtypes: Names of floating-point types.
        group_size: Number of eigenvalues.
    """
    cases = itertools.product(conditions, iterations, dtypes)
    return [breakdown(condition, steps, group_size, dtype) for condition, steps, dtype in cases]


@functools.partial(jax.jit, static_argnames="iterations")
def _compiled_paper(matrix, *, iterations):
    return newton_paper(matrix, iterations)
