"""Oracles for the exact kernels of BatchNorm followed by a positively homogeneous activation.

One neuron's pre-activations over a batch are u ~ N(0, K); v = G u, G = I - 11^T/B, Sigma = G K G; F(u) = phi(sqrt(B) v/|v|)
with phi(t) = t on t > 0 and alpha t elsewhere. With tangents t ~ N(0, Theta), independent of u, T = G Theta G:

    K'     = E[F F^T],
    Theta' = E[DF[t] DF[t]^T],   DF[t] = sqrt(B) phi'(v) (G t/|v| - v (v . G t)/|v|^3).

Four routes without common code: cones of constant sign (`sphere_step`, B = 4 and 5), a Gamma mixture with planar wedges
(`laplace_step`, any B and rank), the same mixture by regression in arbitrary precision (`laplace_step_mp`, small B), and
sampling (`monte_carlo_step`). `cross_sphere_step` and `cross_laplace_step` are for two batches normalised apart.
"""

import numpy as np
from scipy.integrate import quad_vec

from tests.oracles.batch_norm_cross import cross_laplace_step
from tests.oracles.batch_norm_mp import laplace_step_mp, network_mp
from tests.oracles.batch_norm_sampling import monte_carlo_step
from tests.oracles.batch_norm_sphere import Step, cross_sphere_step, sphere_step
from tests.oracles.gaussian_wedge import mask_linear, mask_mean, mask_product, mask_quadratic, wedge

__all__ = [
    "Step",
    "center",
    "cross_laplace_step",
    "cross_sphere_step",
    "factor",
    "laplace_step",
    "laplace_step_from_factor",
    "laplace_step_mp",
    "monte_carlo_step",
    "network",
    "network_mp",
    "sphere_step",
]


def center(K: np.ndarray) -> np.ndarray:
    """G K G."""
    K = K - K.mean(0, keepdims=True)
    return K - K.mean(1, keepdims=True)


def factor(K: np.ndarray) -> np.ndarray:
    """X with X X^T = G K G up to rounding, one column for each eigenvalue above B eps times the largest."""
    sigma = center(K)
    eigenvalues, vectors = np.linalg.eigh((sigma + sigma.T) / 2)
    kept = eigenvalues > len(K) * np.finfo(float).eps * eigenvalues[-1]
    return vectors[:, kept] * np.sqrt(eigenvalues[kept])


def _principal(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of `x` in its principal axes (rank columns), and the variances along them."""
    _, singular, axes = np.linalg.svd(x, full_matrices=False)
    kept = singular > max(x.shape) * np.finfo(float).eps * singular[0]
    return x @ axes[kept].T, singular[kept] ** 2


def _tilt(w: float, variances: np.ndarray) -> tuple[float, np.ndarray, float]:
    """The rate s with w = (1 + 2 s tr)^(-1/2), 1 + 2 s lambda, and det(I + 2 s Sigma)^(-1/2) |ds/dw|; here tr = 1."""
    s = (1 / w - 1) * (1 / w + 1) / 2
    growth = 1 + 2 * s * variances
    return s, growth, float(np.exp(-0.5 * np.sum(np.log(growth)) - 3 * np.log(w)))


def _integrand(w: float, x: np.ndarray, variances: np.ndarray, T: np.ndarray, alpha: float) -> np.ndarray:
    """The integrands of K' and Theta': |v|^(-2k) = int s^(k-1) e^(-s |v|^2) ds / Gamma(k) tilts N(0, Sigma)."""
    s, growth, weight = _tilt(w, variances)
    x = x / np.sqrt(growth)
    pair = wedge(x, x, alpha)
    linear = mask_linear(pair, T @ x)  # E[phi'_i phi'_j v_i (T v)_j]
    quadratic = mask_quadratic(pair, x.T @ T @ x)  # E[phi'_i phi'_j v_i v_j v^T T v]
    ntk = T * mask_mean(pair) - s * (linear + linear.T) + s**2 / 2 * quadratic
    return weight * np.stack([mask_product(pair), ntk])


def laplace_step_from_factor(x: np.ndarray, T: np.ndarray, alpha: float, tolerance: float = 1e-11) -> Step:
    """`laplace_step` from a centred factor x x^T = Sigma and the centred tangent covariance T = G Theta G.

    Adaptive Gauss-Kronrod on w = (1 + 2 s tr Sigma)^(-1/2) in (0, 1]: for rank n both integrands are smooth there and
    vanish like w^(n-1) and w^(n-3) at 0, so no tail is cut off.
    """
    batch = len(x)
    x, variances = _principal(x)
    if len(variances) < 3:
        raise ValueError(f"Theta' is finite for rank(Sigma) >= 3 only, got rank {len(variances)}.")
    trace = variances.sum()
    x, variances = x / np.sqrt(trace), variances / trace
    # A break for each decade of variances, at w = sqrt(variance), where 1 + 2 s variance leaves 1.
    points = 10.0 ** (np.unique(np.floor(np.log10(variances))) / 2)
    # E[1/|v|^2] and |T| set the scale of Theta', so that one tolerance serves both kernels.
    inverse_square = quad_vec(lambda w: _tilt(w, variances)[2], 0, 1, epsrel=1e-6, epsabs=0, points=points)[0]
    scale = np.linalg.norm(T) * inverse_square or 1.0
    total, error = quad_vec(
        lambda w: _integrand(w, x, variances, T / scale, alpha),
        0,
        1,
        epsrel=tolerance,
        epsabs=0,
        norm="2",
        points=points,
    )
    relative = error / min(np.linalg.norm(kernel) for kernel in total if kernel.any())
    return Step(batch * total[0], batch * scale / trace * total[1], float(relative))


def laplace_step(K: np.ndarray, Theta: np.ndarray, alpha: float, tolerance: float = 1e-11) -> Step:
    """K' and Theta' for any batch and any rank >= 3 of G K G."""
    return laplace_step_from_factor(factor(K), center(Theta), alpha, tolerance)


def network(
    x: np.ndarray, depth: int, alpha: float, sigma_w: float = 1.0, sigma_b: float = 0.0, tolerance: float = 1e-11
) -> tuple[np.ndarray, np.ndarray]:
    """NNGP and NTK of [Dense, BatchNorm, phi] x depth, then Dense(1), depth >= 1, for inputs x (batch, features).

    The first layer works on the centred inputs themselves: neither a large common shift nor near-duplicates are squared
    into a Gram matrix. Rows equal in x stay equal in every factor. Later layers start from a float64 Gram matrix, whose
    rounding moves the angle of two inputs at relative distance d by 1e-16/d: against `network_mp` at batch 5, depth 2, the
    NTK is off by 5e-12 for d = 1e-4, up to 1e-9 for 1e-6, 9e-8 for 1e-8 (depth 1: 1e-15 at all of them).
    Raises RuntimeError if a quadrature misses 1e-9.
    """
    if depth < 1:
        raise ValueError(f"`depth` must be at least 1, got {depth}.")
    x = np.asarray(x, dtype=np.float64)
    _, first, inverse = np.unique(x, axis=0, return_index=True, return_inverse=True)
    twin = first[inverse.ravel()]
    x = x - x[0]
    x = sigma_w * (x - x.mean(0)) / np.sqrt(x.shape[1])
    T = x @ x.T
    K = Theta = T
    for _ in range(depth):
        step = laplace_step_from_factor(x[twin], T, alpha, tolerance)
        if not step.error < 1e-9:
            raise RuntimeError(f"The oracle's quadrature did not converge: relative error {step.error:.1e}.")
        K = sigma_w**2 * step.nngp + sigma_b**2
        Theta = sigma_w**2 * step.ntk + K
        x, T = factor(K), center(Theta)
    return K, Theta
