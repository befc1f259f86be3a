"""Group-wise whitening of a batch: ZCA, PCA and Cholesky.

All three give the group the covariance I; they differ by a rotation. With Sigma = D diag(lambda) D^T the group's covariance:
ZCA is D diag(lambda)^(-1/2) D^T, PCA diag(lambda)^(-1/2) D^T, Cholesky L^(-1) with Sigma = L L^T.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.normalizers.gram_schmidt import gram_schmidt
from ntkcheck.normalizers.groups import check_full_rank, check_groups, covariance, over_groups


def zca(x: Float[Array, "batch features"], group_size: int = 16, eps: float = 0.0) -> Float[Array, "batch features"]:
    """Whiten each group by the symmetric inverse root of its covariance: (x - mean) Sigma^(-1/2).

    Source: Huang et al. 2018, Decorrelated Batch Normalization; IterNorm (arXiv 1904.03441), on batch whitening.

    Args:
        x: Pre-activations, any scale.
        group_size: Features per group; must divide `features` and be smaller than `batch`.
        eps: Added to the diagonal of the covariance.

    Returns:
        Values whose covariance over the batch is I within each group. Derivatives go through an eigendecomposition and
        are not finite where eigenvalues coincide.

    Raises:
        ValueError: If the groups do not divide the features or the batch is too small for an invertible covariance.
    """
    check_groups(x.shape[1], group_size)
    check_full_rank(x.shape[0], group_size, "zca")

    def whiten(centred):
        eigenvalues, basis = jnp.linalg.eigh(covariance(centred, eps))
        return (centred @ basis / jnp.sqrt(eigenvalues)) @ basis.T

    return over_groups(whiten, x, group_size)


def pca(x: Float[Array, "batch features"], group_size: int = 16, eps: float = 0.0) -> Float[Array, "batch features"]:
    """Whiten each group along its principal axes: (x - mean) D diag(lambda)^(-1/2), largest eigenvalue first.

    The sign of an eigenvector is a convention: here its component of largest magnitude is positive. The order and the sign
    jump when eigenvalues cross, which is what makes PCA whitening the noisiest of the three (claim LT-5).

    Source: Huang et al. 2018, Decorrelated Batch Normalization, on PCA whitening and stochastic axis swapping.

    Args:
        x: Pre-activations, any scale.
        group_size: Features per group; must divide `features` and be smaller than `batch`.
        eps: Added to the diagonal of the covariance.

    Returns:
        Values whose covariance over the batch is I within each group.

    Raises:
        ValueError: If the groups do not divide the features or the batch is too small for an invertible covariance.
    """
    check_groups(x.shape[1], group_size)
    check_full_rank(x.shape[0], group_size, "pca")

    def whiten(centred):
        eigenvalues, basis = jnp.linalg.eigh(covariance(centred, eps))
        largest = jnp.take_along_axis(basis, jnp.argmax(jnp.abs(basis), axis=0)[None, :], axis=0)
        return (centred @ (basis * jnp.sign(largest)) / jnp.sqrt(eigenvalues))[:, ::-1]

    return over_groups(whiten, x, group_size)


def cholesky(
    x: Float[Array, "batch features"], group_size: int = 16, eps: float = 0.0
) -> Float[Array, "batch features"]:
    """Whiten each group by the inverse Cholesky factor of its covariance: (x - mean) L^(-T), Sigma = L L^T.

    Feature k is standardised after its regression on features 1..k-1: the first of a group is batch normalised. So it is computed,
    by Gram-Schmidt over the batch, which squares no condition number.

    Source: Siarohin, Sangineto & Sebe 2019, Whitening and Coloring batch transform, on whitening by Cholesky decomposition.

    Args:
        x: Pre-activations, any scale.
        group_size: Features per group; must divide `features` and be smaller than `batch`.
        eps: Added to the diagonal of the covariance.

    Returns:
        Values whose covariance over the batch is I within each group.

    Raises:
        ValueError: If the groups do not divide the features or the batch is too small for an invertible covariance.
    """
    check_groups(x.shape[1], group_size)
    check_full_rank(x.shape[0], group_size, "cholesky")

    def whiten(centred):
        batch, group = centred.shape
        ridge = jnp.sqrt(batch * eps) * jnp.eye(
            group, dtype=centred.dtype
        )  # so that the covariance has eps on its diagonal
        return batch**0.5 * gram_schmidt(jnp.concatenate([centred, ridge]))[:batch]

    return over_groups(whiten, x, group_size)
