"""IterNorm: whitening by Newton's iteration for the inverse root of the covariance."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.normalizers.groups import check_groups, covariance, over_groups


def check_iterations(iterations: int) -> None:
    """Raise ValueError unless `iterations`, the number of Newton steps, is a positive int."""
    if isinstance(iterations, bool) or not isinstance(iterations, int) or iterations < 1:
        raise ValueError(f"`iterations` must be a positive whole number of Newton steps, got {iterations!r}; try 5.")


def newton_inverse_root(matrix: Float[Array, "group group"], iterations: int) -> Float[Array, "group group"]:
    """Iterate P <- (3 P - P^3 S) / 2 from P = I towards S^(-1/2), in the coupled form.

    With Q_k = P_k^2 S the published iteration reads P_{k+1} = P_k (3 I - Q_k) / 2, Q_{k+1} = Q_k (3 I - Q_k)^2 / 4: the same
    polynomials of S in exact arithmetic. Carried along, Q keeps rounding errors from growing, where the published form
    amplifies them as soon as the condition number exceeds about 2.4.

    Source: IterNorm (arXiv 1904.03441), Newton's iteration; Higham 2008, Functions of Matrices, on coupled iterations.

    Args:
        matrix: Symmetric, eigenvalues in (0, 3); IterNorm divides the covariance by its trace, so they lie in (0, 1].
        iterations: T, at least 1.

    Returns:
        The symmetric polynomial of degree (3^T - 1)/2 in `matrix` that T steps of the iteration give.
    """
    identity = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    root, residual = identity, matrix
    for _ in range(iterations):
        half_step = 1.5 * identity - 0.5 * residual
        root = root @ half_step
        residual = half_step @ residual @ half_step
    return root


def iter_norm(
    x: Float[Array, "batch features"], group_size: int = 16, iterations: int = 5, eps: float = 0.0
) -> Float[Array, "batch features"]:
    """Whiten each group approximately: (x - mean) P_T / sqrt(tr Sigma), P_T after T Newton steps on Sigma / tr Sigma.

    Directions of large eigenvalue are whitened first; a batch smaller than the group is no obstacle, because nothing is inverted.

    Source: IterNorm (arXiv 1904.03441), algorithm of the forward pass; claims IN-1 and IN-5.

    Args:
        x: Pre-activations, any scale.
        group_size: Features per group (the published code calls this `num_channels`); must divide `features`.
        iterations: T, the number of Newton steps, at least 1.
        eps: Added to the diagonal of the covariance.

    Returns:
        Values whose covariance within a group tends to I (on the range of Sigma) as T grows. Where Sigma is singular,
        rounding errors in its null space grow by 9/4 per step and take over past about 40 steps in float64, 20 in float32.

    Raises:
        ValueError: If the groups do not divide the features or `iterations` is not a positive whole number.
    """
    check_groups(x.shape[1], group_size)
    check_iterations(iterations)

    def whiten(centred):
        sigma = covariance(centred, eps)
        trace = jnp.trace(sigma)
        return centred @ newton_inverse_root(sigma / trace, iterations) / jnp.sqrt(trace)

    return over_groups(whiten, x, group_size)
