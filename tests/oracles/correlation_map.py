"""Oracle of length and correlation maps: iteration of the recursions with Gaussian expectations by the trapezoidal rule in NumPy.

Grid of step 1/10 (one variable: 1/20) on |z| <= 9, beyond which the normal density is below 1e-17. For phi analytic in a strip of
half-width d and variances q the rule's error is exp(-2 pi d / (h sqrt(q))): below 1e-15 for tanh (d = pi/2) up to q = 8.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import erf, ndtr

Function = Callable[[np.ndarray], np.ndarray]

SMOOTH: dict[str, tuple[Function, Function]] = {  # phi, phi'
    "tanh": (np.tanh, lambda t: 1 / np.cosh(t) ** 2),
    "erf": (erf, lambda t: 2 / np.sqrt(np.pi) * np.exp(-(t**2))),
    "gelu": (lambda t: t * ndtr(t), lambda t: ndtr(t) + t * np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi)),
}


def moment(f: Function, q: float) -> float:
    """E[f(u)], u ~ N(0, q)."""
    z = np.arange(-180, 181) / 20
    return float(np.sum(f(np.sqrt(q) * z) * np.exp(-(z**2) / 2)) / (20 * np.sqrt(2 * np.pi)))


def pair_moment(f: Function, q: float, rho: float) -> float:
    """E[f(u) f(v)], variances q, correlation rho."""
    z = np.arange(-90, 91) / 10
    x, y = z[:, None], rho * z[:, None] + np.sqrt(1 - rho**2) * z[None, :]
    density = np.exp(-(z[:, None] ** 2 + z[None, :] ** 2) / 2) / (100 * 2 * np.pi)
    return float(np.sum(f(np.sqrt(q) * x) * f(np.sqrt(q) * y) * density))


def length(f: Function, normalizer: str, sigma_w: float, sigma_b: float, layers: int = 300) -> float:
    """The variance of the pre-activations after many layers, from 1."""
    q = 1.0
    for _ in range(layers):
        unit = 1.0 if normalizer in ("layer_norm", "batch_norm") else q
        mean = moment(f, unit) if normalizer == "weight_mean" else 0.0
        q = sigma_w**2 * (moment(lambda t: f(t) ** 2, unit) - mean**2) + sigma_b**2
    return q


def next_correlation(f: Function, normalizer: str, sigma_w: float, sigma_b: float, q: float, rho: float) -> float:
    """From the length fixed point q, the correlation of the next pre-activations; behind population BatchNorm, the normalised ones.

    For BatchNorm the population's mean and variance are formed explicitly: a typical pair of inputs is uncorrelated before the
    activation, so the population's mean has the covariance of such a pair with everything.
    """
    unit = 1.0 if normalizer in ("layer_norm", "batch_norm") else q
    covariance = sigma_w**2 * pair_moment(f, unit, rho) + sigma_b**2
    if normalizer == "weight_mean":
        covariance -= sigma_w**2 * moment(f, unit) ** 2
    if normalizer == "batch_norm":
        typical = sigma_w**2 * pair_moment(f, unit, 0.0) + sigma_b**2
        return (covariance - typical) / (q - typical)
    return covariance / q


def critical_scales(name: str, q: float) -> tuple[float, float]:
    """The (sigma_w, sigma_b) at which q is the length fixed point and sigma_w^2 E[phi'^2] = 1."""
    f, derivative = SMOOTH[name]
    sigma_w = moment(lambda t: derivative(t) ** 2, q) ** -0.5
    return sigma_w, (q - sigma_w**2 * moment(lambda t: f(t) ** 2, q)) ** 0.5
