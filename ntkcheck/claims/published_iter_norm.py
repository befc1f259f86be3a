"""IterNorm as it was published, its iteration and its backward pass written out, against the library's: claims IN-1 and IN-10.

The library's own normaliser computes the same map in a form that does not amplify rounding, and leaves its derivative to JAX.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import stats

from ntkcheck import normalizers
from ntkcheck.normalizers.iter_norm import newton_inverse_root
from ntkcheck.normalizers.newton_paper import newton_paper
from ntkcheck.snd.chebyshev import newton_polynomial

Matrix = Float[np.ndarray, "group group"]


def newton_iterates(matrix: Matrix, iterations: int) -> list[Matrix]:
    """P_0 = I, ..., P_T of P_{k+1} = (3 P_k - P_k^3 Sigma_N) / 2, in the precision of `matrix`.

    Source: IterNorm (arXiv 1904.03441), Newton's iteration.
    """
    with jax.default_matmul_precision("highest"):
        return [np.asarray(newton_paper(jnp.asarray(matrix), T)) for T in range(iterations + 1)]


def backward(
    x: Float[np.ndarray, "batch group"], cotangent: Float[np.ndarray, "batch group"], iterations: int
) -> Float[np.ndarray, "batch group"]:
    """dL/dx of IterNorm on one group from dL/dx_hat = `cotangent`, in the precision of `x`, at eps = 0.

    Source: IterNorm (arXiv 1904.03441), appendix on back-propagation, and the code published with it; samples are rows here.
    """
    batch = len(x)
    centred = x - x.mean(axis=0)
    sigma = centred.T @ centred / batch
    trace = np.trace(sigma)
    sigma_n = sigma / trace
    p = newton_iterates(sigma_n, iterations)
    whitening = p[-1] / np.sqrt(trace)
    d_whitening = cotangent.T @ centred
    d_sigma_n = _through_iterations(p, sigma_n, d_whitening / np.sqrt(trace))
    d_trace = -(np.trace(d_sigma_n.T @ sigma_n) + np.trace(d_whitening.T @ whitening) / 2) / trace
    d_sigma = d_sigma_n / trace + d_trace * np.eye(len(sigma), dtype=x.dtype)
    return (cotangent - cotangent.mean(axis=0)) @ whitening.T + centred @ (d_sigma + d_sigma.T) / batch


def _through_iterations(p: list[Matrix], sigma_n: Matrix, d_p: Matrix) -> Matrix:
    """dL/dSigma_N = -1/2 sum_k (P_{k-1}^3)^T dL/dP_k, with dL/dP_{k-1} from dL/dP_k."""
    d_sigma_n = np.zeros_like(sigma_n)
    for previous in reversed(p[:-1]):
        square = previous @ previous
        d_sigma_n -= (square @ previous).T @ d_p / 2
        d_p = (
            1.5 * d_p
            - d_p @ (square @ sigma_n).T / 2
            - square.T @ d_p @ sigma_n.T / 2
            - previous.T @ d_p @ (previous @ sigma_n).T / 2
        )
    return d_sigma_n


def iteration_errors(eigenvalues: Float[np.ndarray, " group"], basis: Matrix) -> dict[str, float]:
    """The library's iteration, the coupled form of the same map, against eigen-decomposition and scalar recursion (claim IN-1).

    Args:
        eigenvalues: Of Sigma_N; their sum is 1.
        basis: Its eigenvectors, as columns.
    """
    matrix = jnp.asarray((basis * eigenvalues) @ basis.T)
    values, vectors = np.linalg.eigh(matrix)
    roots = {T: np.asarray(newton_inverse_root(matrix, T)) for T in (*range(1, 11), 20)}
    of_root = {T: np.einsum("ij,ik,kj->j", vectors, root, vectors) for T, root in roots.items()}
    differences = [np.max(np.abs(of_root[T] / newton_polynomial(values, T) - 1)) for T in range(1, 11)]
    orders = [float(stats.spearmanr(values, values * of_root[T] ** 2)[0]) for T in range(1, 6)]  # pyright: ignore[reportArgumentType]
    return {
        "inverse_root_error": _difference(roots[20], (vectors / np.sqrt(values)) @ vectors.T),
        "eigenvalue_error": max(differences),
        "stretching_order": min(orders),
    }


def float32_errors(
    eigenvalues: Float[np.ndarray, " group"], basis: Matrix, iterations: int
) -> Float[np.ndarray, " {iterations}"]:
    """Errors of the published form in float32, for T = 1 to `iterations`; what overflows is infinitely wrong (claim IN-1)."""
    matrix = ((basis * eigenvalues) @ basis.T).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        found = newton_iterates(matrix, iterations)[1:]
        errors = [_difference(p, (basis * newton_polynomial(eigenvalues, T)) @ basis.T) for T, p in enumerate(found, 1)]
    return np.where(np.isfinite(errors), errors, np.inf)


def _difference(found, reference) -> float:
    """Relative, in the Frobenius norm."""
    return float(np.linalg.norm(found.astype(np.float64) - reference) / np.linalg.norm(reference))


def gradient_differences(rng: np.random.Generator, samples: int, features: int) -> tuple[float, float]:
    """The published backward pass against automatic differentiation, for one batch and one cotangent (claim IN-10).

    Returns:
        The largest relative difference in float64 over T = 1 to 7, and that of float32 from float64 at T = 5. The batch's
        covariance has eigenvalues from 1 to 1/10.
    """
    basis = stats.ortho_group.rvs(features, random_state=rng)
    z = rng.standard_normal((samples, features))
    directions, _ = np.linalg.qr(z - z.mean(axis=0))
    x = directions * (samples * np.geomspace(1, 0.1, features)) ** 0.5 @ basis.T
    cotangent = rng.standard_normal(x.shape)
    gradients = {T: np.asarray(_gradient(x, cotangent, T)) for T in range(1, 8)}
    double = max(_difference(backward(x, cotangent, T), gradient) for T, gradient in gradients.items())
    single = backward(x.astype(np.float32), cotangent.astype(np.float32), 5)
    return double, _difference(single, gradients[5])


def _gradient(x, cotangent, iterations):
    group_size = x.shape[1]
    return jax.vjp(lambda x: normalizers.iter_norm(x, group_size, iterations), jnp.asarray(x))[1](cotangent)[0]
