"""BatchNorm kernels by plain sampling of the definition: u and t drawn, F and DF[t] evaluated, products averaged."""

from typing import NamedTuple

import numpy as np


class Sampled(NamedTuple):
    """Sample means of the kernels and their standard errors, entry by entry."""

    nngp: np.ndarray
    nngp_sem: np.ndarray
    ntk: np.ndarray
    ntk_sem: np.ndarray


def normalize(u: np.ndarray, t: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """F(u) and DF(u)[t] for samples in rows, by the chain rule over mean, standard deviation, quotient and phi."""
    v, dv = u - u.mean(1, keepdims=True), t - t.mean(1, keepdims=True)
    deviation = np.sqrt(np.mean(v**2, axis=1, keepdims=True))
    d_deviation = np.mean(v * dv, axis=1, keepdims=True) / deviation
    slope = np.where(v > 0, 1.0, alpha)
    return slope * v / deviation, slope * (dv - v / deviation * d_deviation) / deviation


def _covariance_root(K: np.ndarray) -> np.ndarray:
    """A with A A^T = K, singular K included."""
    eigenvalues, vectors = np.linalg.eigh(K)
    return vectors * np.sqrt(np.maximum(eigenvalues, 0.0))


def monte_carlo_step(K: np.ndarray, Theta: np.ndarray, alpha: float, samples: int, seed: int) -> Sampled:
    """K' and Theta' from `samples` draws. At rank(Sigma) <= 4 the standard errors of Theta' mean nothing: its variance is
    infinite there.
    """
    rng = np.random.default_rng(seed)
    roots = [_covariance_root(np.asarray(matrix)) for matrix in (K, Theta)]
    batch, done = len(K), 0
    sums = np.zeros((2, 2, batch, batch))  # kernel; first and second moment
    while done < samples:
        count = min(8192, samples - done)
        u, t = (rng.standard_normal((count, batch)) @ root.T for root in roots)
        for moments, values in zip(sums, normalize(u, t, alpha), strict=True):
            moments += np.stack([values.T @ values, (values**2).T @ values**2])
        done += count
    mean, square = sums[:, 0] / samples, sums[:, 1] / samples
    sem = np.sqrt((square - mean**2) / (samples - 1))
    return Sampled(mean[0], sem[0], mean[1], sem[1])
