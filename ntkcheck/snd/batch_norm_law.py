"""BatchNorm's SND on Gaussian features, exactly, at any batch size and number of features.

For one standardised feature, x_hat = sqrt(m - 1) r / sqrt(m + r^2) with r = (x - a) / s, a and s^2 mean and biased variance of the
m - 1 mates. Given x, a - x and (m - 1) s^2 are independent, normal and chi^2 with m - 2 degrees of freedom: sqrt(m - 2) r is
noncentral t with m - 2 degrees of freedom and noncentrality delta = sqrt(m - 1) x. As an angle, tan psi = r, its density is

    p(psi | x) ~ cos(psi)^(m - 3) M(delta sin psi),    M(b) = int_0^inf u^(m - 2) exp(-u^2 / 2 + u b) du.

Features being independent and alike, |F - E F|^2 is a sum of d independent copies of W = (x_hat - E[x_hat | x])^2, over x too, and
SND = E sqrt(W_1 + ... + W_d) follows from E exp(-t W) for every d.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special, stats

from ntkcheck.snd.arguments import check_count
from ntkcheck.snd.mean_norm import mean_norm

# x is integrated over [0, 9], beyond which a Gaussian has 1e-19; angles over what |Z| < 9 and the 1e-17 quantiles of s leave.
RANGE, TAIL = 9.0, 1e-17
ANCHOR_NODES, RADIUS_NODES = 64, 64
PANEL, PANEL_NODES = 3.0, 97  # the double exponential rule, u in [-3, 3]: its nodes come within 4e-14 of a panel's ends


class Law(NamedTuple):
    """The law of W = (x_hat - E[x_hat | x])^2 as weighted nodes.

    Attributes:
        deviations: x_hat - E[x_hat | x] at every node of x and of the angle.
        weights: Their probabilities, of sum 1.
    """

    deviations: Float[np.ndarray, " nodes"]
    weights: Float[np.ndarray, " nodes"]

    def moment(self, power: int) -> float:
        """E W^power."""
        return float(np.sum(self.weights * self.deviations ** (2 * power)))


def batch_norm_law(features: int, batch_size: int) -> float:
    """SND of BatchNorm on N(mu, diag(sigma^2)), whatever mu and sigma: E sqrt(W_1 + ... + W_d), by quadrature to 1e-10.

    Source: claims IN-3 and IN-4; the module's docstring derives it.

    Args:
        features: d, at least 1, independent.
        batch_size: m, at least 2.

    Raises:
        ValueError: For numbers outside these domains.
    """
    check_count("features", features, 1, "there is nothing to normalise")
    law = deviation_law(batch_size)
    square = features * law.moment(1)
    return mean_norm(lambda t: _laplace(law, t) ** features, square)


def batch_norm_many_features(features: int, batch_size: int) -> tuple[float, float]:
    """sqrt(d E W), which SND tends to for many features, and the leading relative excess Var W / (8 d (E W)^2) of it.

    For m >> 1, E W = 3 / (2 m) and Var W = 6 / m^2: the excess is 1 / (3 d).
    """
    check_count("features", features, 1, "there is nothing to normalise")
    law = deviation_law(batch_size)
    first = law.moment(1)
    return math.sqrt(features * first), (law.moment(2) / first**2 - 1) / (8 * features)


@functools.cache
def deviation_law(batch_size: int) -> Law:
    """The law of the deviation of one feature: nodes in x >= 0 (the law is even in x) times nodes in the angle."""
    check_count("batch_size", batch_size, 2, "SND is over the other samples of a batch")
    nodes, weights = np.polynomial.legendre.leggauss(ANCHOR_NODES)
    x = RANGE * (nodes + 1) / 2
    weights = weights * np.exp(-(x**2) / 2)
    x_hat, given = _two_points(x) if batch_size == 2 else _conditional(x, batch_size)
    deviations = x_hat - np.sum(given * x_hat, axis=1, keepdims=True)
    return Law(deviations.ravel(), ((weights / weights.sum())[:, None] * given).ravel())


def _two_points(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A batch of two standardises to 1 and -1: 1 where the mate is smaller, with probability Phi(x)."""
    return np.array([[1.0, -1.0]]), np.stack([special.ndtr(x), special.ndtr(-x)], axis=1)


def _conditional(x: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """x_hat at nodes of the angle, and their probabilities, given each x; nodes crowd where x_hat meets its mean."""
    delta = (m - 1) ** 0.5 * x[:, None]
    smallest, largest = float(stats.chi.ppf(TAIL, m - 2)), float(stats.chi.isf(TAIL, m - 2))
    low, high = delta - RANGE, delta + RANGE
    first, last = np.arctan(low / np.where(low < 0, smallest, largest)), np.arctan(high / smallest)
    x_hat, given = _on_panels(delta, m, np.concatenate([first, last], axis=1))
    mean = np.sum(given * x_hat, axis=1, keepdims=True)
    middle = np.arctan(mean * np.sqrt(m / (m - 1 - mean**2)))
    return _on_panels(delta, m, np.concatenate([first, middle, last], axis=1))


def _on_panels(delta: np.ndarray, m: int, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x_hat and probabilities at the nodes of the double exponential rule on each panel between neighbouring ends."""
    u = np.linspace(-PANEL, PANEL, PANEL_NODES)
    share = special.expit(np.pi * np.sinh(u))
    weights = np.cosh(u) * share * (1 - share)
    lengths = np.diff(ends, axis=1)[:, :, None]
    psi = (ends[:, :-1, None] + lengths * share).reshape(len(delta), -1)
    log_density = (m - 3) * np.log(np.cos(psi)) + _log_radial_integral(delta * np.sin(psi), m - 2)
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True)) * (lengths * weights).reshape(psi.shape)
    r = np.tan(psi)
    return (m - 1) ** 0.5 * r / np.sqrt(m + r**2), density / density.sum(axis=1, keepdims=True)


def _log_radial_integral(b: np.ndarray, power: int) -> np.ndarray:
    """log M(b) = log int_0^inf u^k exp(-u^2 / 2 + u b) du, on an interval of 12 widths to either side of the largest integrand."""
    peak = (b + np.sqrt(b**2 + 4 * power)) / 2
    width = 1 / np.sqrt(1 + power / peak**2)
    low, high = np.maximum(peak - 12 * width, 0), peak + 12
    nodes, weights = np.polynomial.legendre.leggauss(RADIUS_NODES)
    u = low[..., None] + (high - low)[..., None] * (nodes + 1) / 2
    log_integrand = power * np.log(u) - u**2 / 2 + u * b[..., None]
    return special.logsumexp(log_integrand, b=weights, axis=-1) + np.log((high - low) / 2)


def _laplace(law: Law, t: np.ndarray) -> np.ndarray:
    """E exp(-t W)."""
    squares = law.deviations**2
    return np.array([np.sum(law.weights * np.exp(-time * squares)) for time in t])
