"""Cross kernels of two batches, each normalised by its own statistics, by two Gamma mixtures; any sizes, any rank >= 3.

    1/|v| = (2/sqrt(pi)) int exp(-y^2 |v|^2) dy,   1/|v|^3 = (4/sqrt(pi)) int y^2 exp(-y^2 |v|^2) dy

for each batch: under the weight exp(-y1^2 |v1|^2 - y2^2 |v2|^2) the joint Gaussian stays Gaussian, and its masked moments
are those of planar wedges. y1 and y2 run over a double-exponential grid.
"""

import numpy as np

from tests.oracles.batch_norm_sphere import Step
from tests.oracles.gaussian_wedge import mask_linear, mask_mean, mask_product, mask_quadratic, wedge


def _grid(step: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes y = exp(sinh(t) pi/2), t a multiple of `step` in [-3.8, 3.8] (y from 5e-16 to 2e15), and weights of dy."""
    t = step * np.arange(-round(3.8 / step), round(3.8 / step) + 1)
    y = np.exp(np.pi / 2 * np.sinh(t))
    return y, step * np.pi / 2 * np.cosh(t) * y


def _rotate(x: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`x` in its principal axes (zero off its rank), `other` in the same axes, and the variances of `x` along them."""
    left, singular, axes = np.linalg.svd(x, full_matrices=True)
    singular = singular * (singular > max(x.shape) * np.finfo(float).eps * singular[0])
    padded = np.zeros((len(x), len(axes)))
    padded[:, : len(singular)] = left[:, : len(singular)] * singular
    variances = np.zeros(len(axes))
    variances[: len(singular)] = singular**2
    return padded, other @ axes.T, variances


def _node(x1: np.ndarray, x2: np.ndarray, T12: np.ndarray, s1: float, s2: float, alpha: float) -> np.ndarray:
    """The masked moments of C and of the tangent contraction under the tilted Gaussian of the factors x1, x2."""
    pair, reverse = wedge(x1, x2, alpha), wedge(x2, x1, alpha)
    linear = s1 * mask_linear(pair, T12.T @ x1) + s2 * mask_linear(reverse, T12 @ x2).T
    ntk = T12 * mask_mean(pair) - 2 * linear + 4 * s1 * s2 * mask_quadratic(pair, x1.T @ T12 @ x2)
    return np.stack([mask_product(pair), ntk])


def _row(x1: np.ndarray, x2: np.ndarray, T12: np.ndarray, s1: float, y: np.ndarray, alpha: float) -> np.ndarray:
    """Both integrands at s1 = y1^2 (x1 and x2 already tilted by it) and all y2."""
    x2, x1, variances = _rotate(x2, x1)
    values = np.empty((len(y), 2, len(x1), len(x2)))
    for k, s2 in enumerate(y**2):
        root = np.sqrt(1 + 2 * s2 * variances)
        values[k] = _node(x1 / root, x2 / root, T12, s1, s2, alpha) / np.exp(np.sum(np.log(root)))
    return values


def cross_laplace_from_factors(
    x1: np.ndarray, x2: np.ndarray, T12: np.ndarray, alpha: float, step: float = 0.1
) -> Step:
    """`cross_laplace_step` from centred factors, v_i = x_i . g with one g for both, and T12 = G1 Theta12 G2.

    The error is that of the grid of step 2h; halving the step of an analytic integrand squares it.
    """
    size_1, size_2 = np.linalg.norm(x1), np.linalg.norm(x2)
    x1, x2, variances = _rotate(x1 / size_1, x2 / size_2)
    y, weights = _grid(step)
    fine, coarse = np.zeros((2, 2, *T12.shape))
    for i, s1 in enumerate(y**2):
        root = np.sqrt(1 + 2 * s1 * variances)
        values = _row(x1 / root, x2 / root, T12, s1, y, alpha) * weights[i] / np.exp(np.sum(np.log(root)))
        fine += np.einsum("k,kabc->abc", weights, values)
        if i % 2 == 0:
            coarse += 4 * np.einsum("k,kabc->abc", weights[::2], values[::2])
    error = max(np.linalg.norm(f - c) / np.linalg.norm(f) for f, c in zip(fine, coarse, strict=True))
    fine *= 4 / np.pi * np.sqrt(len(x1) * len(x2))
    return Step(fine[0], fine[1] / (size_1 * size_2), float(error))


def cross_laplace_step(
    K11: np.ndarray, K12: np.ndarray, K22: np.ndarray, Theta12: np.ndarray, alpha: float, step: float = 0.1
) -> Step:
    """C = E[F(u1) F(u2)^T] and E[DF(u1)[t1] DF(u2)[t2]^T]; K12 = K11 = K22 is the single-batch kernel."""
    G1, G2 = (np.eye(len(K)) - 1 / len(K) for K in (K11, K22))
    joint = np.block([[G1 @ K11 @ G1, G1 @ K12 @ G2], [G2 @ K12.T @ G1, G2 @ K22 @ G2]])
    eigenvalues, vectors = np.linalg.eigh((joint + joint.T) / 2)
    kept = eigenvalues > len(joint) * np.finfo(float).eps * eigenvalues[-1]
    x = vectors[:, kept] * np.sqrt(eigenvalues[kept])
    return cross_laplace_from_factors(x[: len(K11)], x[len(K11) :], G1 @ Theta12 @ G2, alpha, step)
