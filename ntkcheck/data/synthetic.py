"""Gaussian populations with a known spectrum."""

import numpy as np
from jaxtyping import Float
from scipy import stats

from ntkcheck.data.dataset import Dataset, check_count


def gaussian(samples: int, features: int, seed: int, spectrum: Float[np.ndarray, " features"] | None = None) -> Dataset:
    """Independent samples of N(0, I), or of N(0, Q diag(spectrum) Q^T) with Q orthogonal and uniformly distributed.

    The rotation mixes the features: with a diagonal covariance, standardising each feature would already whiten it.

    Args:
        samples: how many samples, at least 2.
        features: how many features, at least 1.
        seed: of the samples and of the rotation, at least 0; the same seed gives the same population.
        spectrum: the eigenvalues of the covariance, non-negative, one per feature; None for the identity.

    Raises:
        ValueError: for counts that are too small, or a spectrum that is none.
    """
    check_count("samples", samples, 2)
    check_count("features", features, 1)
    check_count("seed", seed, 0)
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((samples, features))
    if spectrum is None:
        return Dataset("gaussian", z, f"generated: N(0, I) in {features} dimensions, seed {seed}")
    eigenvalues = _checked_spectrum(spectrum, features)
    Q = stats.ortho_group.rvs(features, random_state=rng)
    described = f"eigenvalues {eigenvalues.min():.4g} to {eigenvalues.max():.4g}"
    source = f"generated: rotated Gaussian in {features} dimensions, {described}, seed {seed}"
    return Dataset("gaussian", (z * np.sqrt(eigenvalues)) @ Q.T, source)


def log_spaced_spectrum(features: int, condition_number: float) -> Float[np.ndarray, " features"]:
    """Eigenvalues in geometric progression, largest first: lambda_1 / lambda_features = condition_number, mean 1.

    Args:
        features: how many eigenvalues, at least 2.
        condition_number: the ratio of the largest to the smallest, finite and at least 1.

    Raises:
        ValueError: for fewer than two features or a ratio below 1.
    """
    check_count("features", features, 2)
    if not 1 <= condition_number < np.inf:
        raise ValueError(
            f"`condition_number` must be finite and at least 1, got {condition_number}; "
            "it is the largest eigenvalue over the smallest."
        )
    eigenvalues = np.geomspace(condition_number, 1.0, features)
    return eigenvalues / eigenvalues.mean()


def _checked_spectrum(spectrum: np.ndarray, features: int) -> np.ndarray:
    eigenvalues = np.asarray(spectrum, np.float64)
    if eigenvalues.shape != (features,):
        raise ValueError(
            f"`spectrum` must hold one eigenvalue for each of {features} features, got shape {eigenvalues.shape}; "
            "change `features` or `spectrum`."
        )
    if not (np.isfinite(eigenvalues).all() and eigenvalues.min() >= 0 and eigenvalues.max() > 0):
        raise ValueError(
            f"`spectrum` must be finite, non-negative and not all 0, got {eigenvalues}; pass eigenvalues of a covariance."
        )
    return eigenvalues
