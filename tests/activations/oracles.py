"""Gaussian expectations by routes that share nothing with the library's closed forms, and the points to compare them at.

`wedge_moments`: positively homogeneous functions, an integral over the angle. `conditional_moments`: erf and GELU, an
integral over u of phi(u) E[phi(v) | u], in mpmath at any variance. `tensor_moment`: smooth functions at moderate
variances, the plain trapezoidal rule in two dimensions.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
from mpmath import acos, cos, erf, erfc, exp, mp, mpf, pi, quad, sqrt

CORRELATIONS = (-1.0, -1 + 1e-12, -0.999, -0.4, -1e-9, 0.0, 1e-9, 0.3, 0.99, 1 - 1e-14, 1.0)
VARIANCES = ((1e-8, 1e-8), (1e-8, 1e-2), (0.7, 0.7), (1.3, 1.3e6), (1e8, 1e2), (1e8, 1e4), (1e8, 1e8))


def admissible_points(correlations: tuple[float, ...] = CORRELATIONS) -> list[tuple[float, float, float]]:
    """(q1, q2, k12) over all variances and the correlations, k12 rounded towards zero where it would leave the domain."""
    points = []
    for (q1, q2), c in itertools.product(VARIANCES, correlations):
        k12 = c * math.sqrt(q1 * q2)
        while mpf(k12) ** 2 > mpf(q1) * mpf(q2):
            k12 = math.nextafter(k12, 0.0)
        points.append((q1, q2, k12))
    return points


def wedge_moments(slope: float, q1: float, q2: float, k12: float) -> tuple[mpf, mpf]:
    """E[phi(u) phi(v)] and E[phi'(u) phi'(v)] for u = r cos t, v = r cos(t - theta), E[r^2] = 2."""
    with mp.workdps(32):
        size = sqrt(mpf(q1) * mpf(q2))
        theta = acos(mpf(k12) / size)
        kinks = (-pi / 2, theta - pi / 2, pi / 2, theta + pi / 2, 3 * pi / 2)
        dual = derivative = mpf(0)
        for low, high in itertools.pairwise(kinks):
            if high == low:
                continue
            middle = (low + high) / 2
            gain = (1 if cos(middle) > 0 else mpf(slope)) * (1 if cos(middle - theta) > 0 else mpf(slope))
            dual += gain * quad(lambda t: cos(t) * cos(t - theta), [low, high])
            derivative += gain * (high - low)
        return size * dual / pi, derivative / (2 * pi)


def _normal_density(x: mpf) -> mpf:
    return exp(-x * x / 2) / sqrt(2 * pi)


def _normal_distribution(x: mpf) -> mpf:
    return erfc(-x / sqrt(2)) / 2


def _erf_given(mean: mpf, variance: mpf) -> tuple[mpf, mpf]:
    spread = sqrt(1 + 2 * variance)
    return erf(mean / spread), 2 / sqrt(pi) / spread * exp(-((mean / spread) ** 2))


def _gelu_given(mean: mpf, variance: mpf) -> tuple[mpf, mpf]:
    spread = sqrt(1 + variance)
    a = mean / spread
    dual = mean * _normal_distribution(a) + variance / spread * _normal_density(a)
    return dual, _normal_distribution(a) + a * _normal_density(a) / spread**2


def conditional_moments(name: str, q1: float, q2: float, k12: float) -> tuple[mpf, mpf]:
    """E[phi(u) E[phi(v) | u]] and the same for phi'; a conditional variance of 0 gives phi itself.

    Gauss-Legendre panels between multiples of the three scales of the integrand: the width of phi, that of E[phi(v) | u]
    and that of the density. Terms are computed to 20 digits; the nodes are float64, so a result is good to about 1e-15.
    """
    given = {"erf": _erf_given, "gelu": _gelu_given}[name]
    q1, q2, k12 = mpf(q1), mpf(q2), mpf(k12)
    with mp.workdps(40):
        ratio, residual = k12 / q1, (q1 * q2 - k12**2) / q1
    with mp.workdps(20):
        scales = [mpf(1), sqrt(q1)] + ([sqrt(1 + residual) / abs(ratio)] if ratio else [])
        last = 11 * sqrt(q1)
        breaks = {factor * scale for scale in scales for factor in (0.5, 2, 5, 12) if factor * scale < last}
        totals = [mpf(0), mpf(0)]
        for low, high in itertools.pairwise([mpf(0), *sorted(breaks), last]):
            for node, weight in zip(*np.polynomial.legendre.leggauss(24), strict=True):
                u = (low + high) / 2 + (high - low) / 2 * float(node)
                density = (high - low) / 2 * float(weight) * exp(-u * u / (2 * q1)) / sqrt(2 * pi * q1)
                for sign in (1, -1):
                    here, there = given(sign * u, mpf(0)), given(sign * ratio * u, residual)
                    totals = [total + density * a * b for total, a, b in zip(totals, here, there, strict=True)]
        return totals[0], totals[1]


def tensor_moment(f: Callable, g: Callable, q1: float, q2: float, c: float) -> float:
    """E[f(u) g(v)] on a square grid in (x, y), u = sqrt(q1) x, v = sqrt(q2) (c x + sqrt(1 - c^2) y).

    For a pole at distance pi/2 and q = 100 the step 0.02 makes the error exp(-2 pi 0.157 / 0.02) = 4e-22, times 1e7 for
    the fourth-order pole of sech^4.
    """
    x, step = np.linspace(-8.4, 8.4, 841, retstep=True)
    weights = step * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    v = math.sqrt(q2) * (c * x[:, None] + math.sqrt((1 - c) * (1 + c)) * x[None, :])
    return float(np.sum(weights * f(math.sqrt(q1) * x) * (g(v) @ weights)))
