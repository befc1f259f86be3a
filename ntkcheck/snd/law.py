"""SND of isotropic Gaussian populations, to first order in 1 / sqrt(m), in closed form.

F(B; x) deviates from its mean, to first order, by a Gaussian e: from the mean's fluctuation by -R delta_mu, from the covariance's
by the derivative of the root R. All laws here are sqrt(E |e|^2), over e and x; the mean of |e|, which SND is, lies below by about
Var(|e|^2) / (8 E[|e|^2]^2), 1 / (3 d) relatively for BatchNorm. `mean=True` gives that instead, at the same order in m.

Where they hold to 5%, measured with `holds_from`: BatchNorm (d = 64) from m = 8; ZCA (d = 64) in groups of 4, 16, 64 at every
m >= 1.5 g; IterNorm with T = 5 (d = g = 32) from m = 16 g, where it is 4% high.
"""

import math

import numpy as np
from jaxtyping import Float
from scipy import linalg

from ntkcheck.normalizers.groups import check_groups
from ntkcheck.snd.arguments import check_count
from ntkcheck.snd.mean_norm import mean_norm


def isotropic_zca(features: int, group_size: int, batch_size: int, mean: bool = False) -> float:
    """sqrt(d (g + 5) / (4 m)): ZCA in groups of g features, N(0, sigma^2 I); BatchNorm, sqrt(3 d / (2 m)), at g = 1.

    With Sigma^(-1/2) ~ I - delta_Sigma / 2, e given x is N(0, ((1 + |x|^2 / 4) I + x x^T / 4) / m) in each group.

    Source: claim IN-4.

    Args:
        features: d.
        group_size: g, features per group.
        batch_size: m; the law is for m >> g.
        mean: Whether to give E |e| in place of sqrt(E |e|^2).

    Raises:
        ValueError: If the groups do not divide the features.
    """
    return isotropic_polynomial(features, group_size, batch_size, 1.0, 0.5, mean)


def isotropic_iter_norm(features: int, group_size: int, iterations: int, batch_size: int, mean: bool = False) -> float:
    """sqrt((d / (g m)) (alpha^2 (g + 1/2) + beta^2 (g + 2) (g - 1))): IterNorm with T Newton steps, N(0, sigma^2 I).

    alpha = p_T(1/g) / sqrt(g) is the scale of the output, beta = -p_T'(1/g) / g^(3/2) the response to traceless fluctuations of
    the covariance; for T to infinity they are 1 and 1/2, and the law is ZCA's.

    Source: linear response of the Newton polynomial, claim IN-5.

    Args:
        features: d.
        group_size: g, features per group.
        iterations: T, the number of Newton steps.
        batch_size: m; the law is for m >> g.
        mean: Whether to give E |e| in place of sqrt(E |e|^2).

    Raises:
        ValueError: If the groups do not divide the features.
    """
    scale, response = newton_response(group_size, iterations)
    return isotropic_polynomial(features, group_size, batch_size, scale, response, mean)


def newton_response(group_size: int, iterations: int) -> tuple[float, float]:
    """alpha = p_T(1/g) / sqrt(g) and beta = -p_T'(1/g) / g^(3/2), by the recursion of p_T and of its derivative."""
    check_count("iterations", iterations, 1, "5 is usual")
    s, p, slope = 1 / group_size, 1.0, 0.0
    for _ in range(iterations):
        p, slope = 1.5 * p - 0.5 * p**3 * s, 1.5 * slope - 1.5 * p**2 * slope * s - 0.5 * p**3
    return p / group_size**0.5, -slope / group_size**1.5


def isotropic_polynomial(
    features: int, group_size: int, batch_size: int, scale: float, response: float, mean: bool = False
) -> float:
    """SND of F = alpha (x - mu) - beta E_0 x - (alpha / 2) (tr E / g) x, E = E_0 + (tr E / g) I the covariance's fluctuation.

    In a group, given q = |x|^2, E_0 x has the variances (g - 2)/g 2 q / m along x and q / m across it, tr E / g has 2 / (g m).
    """
    check_groups(features, group_size)
    check_count("batch_size", batch_size, 2, "SND is over the other samples of a batch")
    g, a, b = group_size, scale**2, response**2
    # Along x: x^T E_0 x / |x| has variance 2 q (1 - 1/g); the trace adds a q / (2 g).
    along_slope, across_slope = 2 * b * (1 - 1 / g) + a / (2 * g), b
    groups = features / group_size
    square = groups * (a * (g + 0.5) + b * (g + 2) * (g - 1)) / batch_size
    if not mean:
        return math.sqrt(square)
    q, weights = _chi_square_nodes(group_size)

    def laplace(t: Float[np.ndarray, " times"]) -> Float[np.ndarray, " times"]:
        u = 2 * t[:, None] / batch_size
        log_one = -0.5 * np.log1p(u * (a + along_slope * q)) - 0.5 * (g - 1) * np.log1p(u * (a + across_slope * q))
        return np.sum(weights * np.exp(log_one), axis=1) ** groups

    return mean_norm(laplace, square)


def _chi_square_nodes(degrees: int) -> tuple[Float[np.ndarray, " nodes"], Float[np.ndarray, " nodes"]]:
    """Gauss-Laguerre quadrature for q ~ chi^2 with `degrees` degrees of freedom, as eigenvalues of the recurrence's matrix.

    Source: Golub and Welsch 1969, Calculation of Gauss quadrature rules. SciPy's rule has no weights beyond 342 degrees.
    """
    k, alpha = np.arange(64.0), degrees / 2 - 1
    nodes, vectors = linalg.eigh_tridiagonal(2 * k + 1 + alpha, np.sqrt(k[1:] * (k[1:] + alpha)))
    return 2 * nodes, vectors[0] ** 2 / np.sum(vectors[0] ** 2)
