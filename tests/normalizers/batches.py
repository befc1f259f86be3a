"""Batches whose covariance is known by construction."""

import numpy as np


def orthogonal(size: int, seed: int) -> np.ndarray:
    """An orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def batch_of_spectrum(eigenvalues: np.ndarray, batch: int, seed: int) -> np.ndarray:
    """A centred batch of covariance D diag(eigenvalues) D^T, D = orthogonal(len(eigenvalues), seed), up to rounding."""
    group = len(eigenvalues)
    directions = np.random.default_rng(seed + 1).normal(size=(batch, group))
    directions, _ = np.linalg.qr(directions - directions.mean(axis=0))
    return np.sqrt(batch * eigenvalues) * directions @ orthogonal(group, seed).T


def covariance(y: np.ndarray) -> np.ndarray:
    """The biased covariance of a batch."""
    return np.cov(y, rowvar=False, bias=True)
