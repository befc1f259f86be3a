"""Oracles of dual activations in arbitrary precision: moments of phi(u), phi(v) for (u, v) ~ N(0, [[q1, k], [k, q2]]).

Positively homogeneous phi (relu, leaky_relu, identity): polar coordinates, the radius in closed form and mpmath.quad over the
angle, split at the kinks. Smooth phi (erf, tanh, gelu): the trapezoidal rule on the bivariate density itself. Single
variables: mpmath.quad on each half-line. No closed form of a dual is used.
"""

from collections.abc import Callable
from itertools import accumulate

from mpmath import (
    atan2,
    ceil,
    cos,
    cosh,
    erf,
    erfc,
    exp,
    fdot,
    floor,
    fsum,
    inf,
    log,
    mp,
    mpf,
    pi,
    quad,
    sqrt,
    tanh,
    workdps,
)

HOMOGENEOUS = ("relu", "leaky_relu", "identity")


def _density(x: mpf) -> mpf:
    return exp(-(x**2) / 2) / sqrt(2 * pi)


def activation(name: str, slope: float = 0.01) -> tuple[Callable[[mpf], mpf], Callable[[mpf], mpf]]:
    """Phi and phi'; `slope` is leaky_relu's. gelu is u Phi(u) with the normal distribution function, erf is erf(u)."""
    low = {"relu": mpf(0), "leaky_relu": mpf(slope), "identity": mpf(1)}
    if name in low:
        a = low[name]
        return lambda u: u if u > 0 else a * u, lambda u: mpf(1) if u > 0 else a
    return {
        "erf": (erf, lambda u: 2 / sqrt(pi) * exp(-(u**2))),
        "tanh": (tanh, lambda u: 1 / cosh(u) ** 2),
        "gelu": (
            lambda u: u * erfc(-u / sqrt(2)) / 2,
            lambda u: erfc(-u / sqrt(2)) / 2 + u * _density(u),
        ),
    }[name]


def _single_moment(f: Callable[[mpf], mpf], q: float | mpf) -> mpf:
    """E[f(u)] for u ~ N(0, q)."""
    root = sqrt(mpf(q))
    return quad(lambda z: f(root * z) * _density(z), [-inf, 0, inf])


def _gram_determinant(q1: mpf, q2: mpf, k: mpf) -> mpf:
    """Q1 q2 - k^2, exact for float64 arguments."""
    with workdps(mp.dps + 40):
        value = q1 * q2 - k**2
    if value < 0:
        raise ValueError(f"|k12| must be at most sqrt(q1 q2), got k12 = {k} for {q1} and {q2}.")
    return +value


def _angular_moment(f: Callable[[mpf], mpf], q1: mpf, q2: mpf, k: mpf, degree: int) -> mpf:
    """E[f(u) f(v)] for f homogeneous of `degree` 0 or 1: E[r^(2 degree)] is 1 or 2."""
    half = atan2(sqrt(_gram_determinant(q1, q2, k)), k) / 2  # half of the angle between u and v

    def integrand(t: mpf) -> mpf:
        return f(sqrt(q1) * cos(t - half)) * f(sqrt(q2) * cos(t + half))

    kinks = sorted({half - pi / 2, pi / 2 - half, half + pi / 2, 3 * pi / 2 - half, 3 * pi / 2 + half})
    radius = {0: 1, 1: 2}[degree]
    return radius * quad(integrand, kinks) / (2 * pi)


def _trapezoid(f: Callable[[mpf], mpf], q1: mpf, q2: mpf, k: mpf, h: mpf) -> mpf:
    """E[f(u) f(v)] on the grid h Z^2 of (u/sqrt(q1), v/sqrt(q2)), where the density exceeds 10^-dps of its peak."""
    rho = k / sqrt(q1 * q2)
    variance = _gram_determinant(q1, q2, k) / (q1 * q2)
    reach = sqrt(2 * log(10) * mp.dps)
    last = int(ceil(reach / h))

    def weighted(q: mpf, n: int) -> mpf:
        return f(sqrt(q) * n * h) * exp(-((n * h) ** 2) / (2 * variance))

    f_v = {n: weighted(q2, n) for n in range(-2 * last, 2 * last + 1)}
    rows = []
    for m in range(-last, last + 1):
        # exp(rho x y / (1 - rho^2)) along the row, y = n h, is a geometric sequence in n.
        low, high = (int(floor(rho * m + sign * reach * sqrt(variance) / h)) for sign in (-1, 1))
        ratio = exp(rho * m * h**2 / variance)
        powers = accumulate(range(low, high), lambda power, _, ratio=ratio: power * ratio, initial=ratio**low)
        rows.append(weighted(q1, m) * fdot(zip(powers, (f_v[n] for n in range(low, high + 1)), strict=True)))
    return h**2 * fsum(rows) / (2 * pi * sqrt(variance))


def _smooth_moment(f: Callable[[mpf], mpf], q1: mpf, q2: mpf, k: mpf) -> mpf:
    """E[f(u) f(v)] by halving the step until the last change is below the root of the wanted accuracy.

    For an integrand analytic in a strip each halving squares the error, at least. Eight guard digits pay for the products.
    """
    target = mpf(10) ** -(mp.dps // 2 + 1)
    with workdps(mp.dps + 8):
        return _halve(f, q1, q2, k, target)


def _halve(f: Callable[[mpf], mpf], q1: mpf, q2: mpf, k: mpf, target: mpf) -> mpf:
    """The finer of the first two trapezoidal sums that agree to `target`, each step half of the last."""
    h = sqrt(_gram_determinant(q1, q2, k) / (q1 * q2)) / 2
    coarse = _trapezoid(f, q1, q2, k, h)
    while True:
        h /= 2
        fine = _trapezoid(f, q1, q2, k, h)
        if abs(fine - coarse) < target:
            return fine
        coarse = fine


def _pair_moment(name: str, order: int, q1: float | mpf, q2: float | mpf, k: float | mpf, slope: float) -> mpf:
    """E[phi^(order)(u) phi^(order)(v)], order 0 or 1."""
    f = activation(name, slope)[order]
    q1, q2, k = mpf(q1), mpf(q2), mpf(k)
    if name in HOMOGENEOUS:
        return _angular_moment(f, q1, q2, k, 1 - order)
    if _gram_determinant(q1, q2, k) == 0:
        sign = 1 if k > 0 else -1
        return _single_moment(lambda u: f(u) * f(sign * sqrt(q2 / q1) * u), q1)
    return _smooth_moment(f, q1, q2, k)


def product_moment(
    name: str, q1: float | mpf, q2: float | mpf, k12: float | mpf, slope: float = 0.01, dps: int = 30
) -> mpf:
    """E[phi(u) phi(v)], for |k12| <= sqrt(q1 q2) and positive variances."""
    with workdps(dps):
        return _pair_moment(name, 0, q1, q2, k12, slope)


def derivative_moment(
    name: str, q1: float | mpf, q2: float | mpf, k12: float | mpf, slope: float = 0.01, dps: int = 30
) -> mpf:
    """E[phi'(u) phi'(v)]."""
    with workdps(dps):
        return _pair_moment(name, 1, q1, q2, k12, slope)


def mean(name: str, q: float | mpf, slope: float = 0.01, dps: int = 30) -> mpf:
    """E[phi(u)], u ~ N(0, q)."""
    with workdps(dps):
        return _single_moment(activation(name, slope)[0], q)


def second_moment(name: str, q: float | mpf, slope: float = 0.01, dps: int = 30) -> mpf:
    """E[phi(u)^2], u ~ N(0, q)."""
    with workdps(dps):
        phi = activation(name, slope)[0]
        return _single_moment(lambda u: phi(u) ** 2, q)
