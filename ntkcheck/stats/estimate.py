"""A number with its uncertainty, and the confidence interval that follows from it."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from ntkcheck.stats.arguments import check_level, finite_vector


class Estimate(NamedTuple):
    """A value, its standard error, and the number of independent samples behind them.

    A value without sampling noise (closed form, quadrature) is written `sem=0.0, n=0`. Samples that are all equal also
    give `sem=0.0`: their spread says nothing of their noise, so a share is better given by `wilson_interval`.
    """

    value: float
    sem: float
    n: int


class Interval(NamedTuple):
    """A confidence interval, both ends included."""

    low: float
    high: float


def mean_estimate(samples: Float[np.ndarray, " samples"]) -> Estimate:
    """The mean of independent samples: value = sum x_i / n, sem = sqrt(sum (x_i - value)^2 / (n (n - 1))).

    Args:
        samples: at least two independent, identically distributed finite values.

    Raises:
        ValueError: for fewer than two samples, a non-finite one, or an array that is not one-dimensional.

    Assumes:
        independent samples of finite variance.
    """
    x = finite_vector("samples", samples, fewest=2)
    return Estimate(float(x.mean()), float(x.std(ddof=1) / math.sqrt(len(x))), len(x))


def interval(estimate: Estimate, level: float = 0.95) -> Interval:
    """The two-sided confidence interval value -+ t_{n-1}((1 + level) / 2) sem; a point where there is no noise.

    Args:
        estimate: a mean of independent samples, or a value without sampling noise (`sem=0.0, n=0`).
        level: the probability with which the interval covers the truth, in (0, 1).

    Raises:
        ValueError: for a non-finite estimate, a standard error with fewer than two samples, or a level outside (0, 1).

    Assumes:
        a mean that is close to normal; exact for normal samples of any number.
    """
    check_estimate(estimate)
    half = half_width(estimate.sem, estimate.n, level)
    return Interval(estimate.value - half, estimate.value + half)


def half_width(sem: float, n: int, level: float) -> float:
    """Half the width of the interval, t_{n-1}((1 + level) / 2) sem."""
    check_level(level)
    return float(stats.t.isf((1 - level) / 2, float(n - 1))) * sem if sem > 0 else 0.0


def check_estimate(estimate: Estimate) -> None:
    """Raise ValueError unless the estimate is finite and its standard error rests on enough samples."""
    value, sem, n = estimate
    if not (math.isfinite(value) and math.isfinite(sem)):
        raise ValueError(
            f"`estimate` must be finite, got value {value} with standard error {sem}; "
            "a computation that broke down is a result of its own and has no interval."
        )
    if sem < 0:
        raise ValueError(f"`estimate` must have a standard error of at least 0, got {sem}; pass its absolute value.")
    if n < 2 and (n, sem) != (0, 0.0):
        raise ValueError(
            f"`estimate` must rest on at least 2 samples, got n={n} with standard error {sem}; "
            "take more samples, or write sem=0.0, n=0 for a value without sampling noise."
        )
