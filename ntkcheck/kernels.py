"""Numbers that describe a kernel matrix over a batch, the same for NNGPs and NTKs, infinite and empirical."""

import numpy as np
from jaxtyping import Float

Kernel = Float[np.ndarray, "*stack batch batch"]


def normalized_off_diagonal(kernel: Kernel) -> Float[np.ndarray, "*stack"]:
    """Mean of the off-diagonal entries over the mean of the diagonal: 1 for a constant kernel, 0 for a Kronecker delta."""
    batch = kernel.shape[-1]
    # Without the diagonal from the start: what is 1e-19 of it would be lost in the difference of sums with and without.
    others = kernel.sum((-2, -1), where=~np.eye(batch, dtype=bool))
    return others / (batch - 1) / np.trace(kernel, axis1=-2, axis2=-1)


def condition_number(kernel: Kernel) -> Float[np.ndarray, "*stack"]:
    """Largest over smallest eigenvalue; infinite where the smallest is within rounding of 0, NaN where an entry is not finite."""
    return spectrum_condition(eigenvalues(kernel))


def largest_share(kernel: Kernel) -> Float[np.ndarray, "*stack"]:
    """Largest eigenvalue over the trace: 1 for rank one, 1/batch for a multiple of the identity."""
    return spectrum_share(eigenvalues(kernel))


def eigenvalues(kernel: Kernel) -> Float[np.ndarray, "*stack batch"]:
    """In ascending order; NaN, and no error, where an entry is not finite."""
    finite = np.asarray(np.isfinite(kernel).all((-2, -1)))
    values = np.linalg.eigvalsh(np.where(finite[..., None, None], kernel, 0))
    return np.where(finite[..., None], values, np.nan)


def spectrum_condition(values: Float[np.ndarray, "*stack batch"]) -> Float[np.ndarray, "*stack"]:
    """`condition_number` of the kernel of these eigenvalues."""
    least, largest = values[..., 0], values[..., -1]
    resolved = least > values.shape[-1] * np.finfo(values.dtype).eps * largest
    unresolved = np.where(np.isnan(least), np.nan, np.inf)
    return np.where(resolved, largest / np.where(resolved, least, 1), unresolved)


def spectrum_share(values: Float[np.ndarray, "*stack batch"]) -> Float[np.ndarray, "*stack"]:
    """`largest_share` of the kernel of these eigenvalues."""
    return values[..., -1] / values.sum(-1)


def correlation(nngp: Kernel) -> Kernel:
    """K_ij / sqrt(K_ii K_jj)."""
    scale = np.sqrt(np.diagonal(nngp, axis1=-2, axis2=-1))
    return nngp / (scale[..., :, None] * scale[..., None, :])


def pair_correlations(nngp: Kernel) -> Float[np.ndarray, "*stack pairs"]:
    """Correlations of the disjoint pairs (0, 1), (2, 3), ... of a batch."""
    first = np.arange(0, nngp.shape[-1] - 1, 2)
    return correlation(nngp)[..., first, first + 1]
