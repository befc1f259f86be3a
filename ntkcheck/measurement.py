"""A measurement: what was measured, its value with its uncertainty, and how it was obtained."""

import math
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ntkcheck.stats import Estimate, Interval, interval, mean_estimate

INFINITE = "infinite"
FINITE = "finite"
MOST_DECIMALS = 8  # without an exponent
DOUBLE_DIGITS = 17  # which tell a double from its neighbours


class Series(NamedTuple):
    """An estimate at each of several places: layers, eigenvalues.

    Attributes:
        value: Means over samples.
        sem: Standard errors; zeros where there is no sampling noise.
        n: Number of independent samples, 0 where there is no sampling noise.
        at: The places: layer numbers, batch sizes.
    """

    value: Float[np.ndarray, " places"]
    sem: Float[np.ndarray, " places"]
    n: int
    at: Float[np.ndarray, " places"]


class Measurement(NamedTuple):
    """One measured quantity.

    Attributes:
        quantity: Its name; what it is the quantity of stands in the parameters of the function that measured it.
        estimate: Value, standard error and sample count.
        method: How it was obtained, with what the error covers.
    """

    quantity: str
    estimate: Estimate | Series
    method: str


def summarize(samples: Float[np.ndarray, " samples"]) -> Estimate:
    """The mean of independent samples with its standard error; where one is not finite, neither is the value, and it has no error.

    A computation that broke down is a result: it is kept, and decides nothing.
    """
    if np.isfinite(samples).all():
        return mean_estimate(samples)
    return Estimate(float(np.mean(samples)), math.nan, len(samples))


def series(samples: Float[np.ndarray, "samples places"], at: Float[np.ndarray, " places"]) -> Series:
    """The mean over samples at every place with its standard error; a single sample is a value without sampling noise."""
    count = len(samples)
    if count == 1:
        return Series(samples[0], np.zeros_like(samples[0]), 0, np.asarray(at, float))
    return Series(samples.mean(0), samples.std(0, ddof=1) / count**0.5, count, np.asarray(at, float))


def confidence_interval(estimate: Estimate, level: float) -> Interval:
    """The estimate's interval at `level`; a value that is not finite stands for itself, [inf, inf] or [nan, nan]."""
    if not math.isfinite(estimate.value):
        return Interval(estimate.value, estimate.value)
    return interval(estimate, level)


def with_error(estimate: Estimate | None) -> str:
    """A value with its standard error in the last digits, 1.469(12) or 3.60(10)e-16; without noise, five digits alone."""
    if estimate is None:
        return "-"
    value, sem, _ = estimate
    if not sem or not math.isfinite(value):
        return f"{value:.5g}"
    if abs(value) >= 1e5:
        return f"{value:.2e} ± {sem:.0e}"
    digits = 0
    while sem * 10**digits < 2 and digits <= MOST_DECIMALS:
        digits += 1
    if digits > MOST_DECIMALS:
        return _with_small_error(Decimal(value), Decimal(sem))
    return f"{value:.{digits}f}({sem * 10**digits:.0f})"


def _with_small_error(value: Decimal, sem: Decimal) -> str:
    """A value with an error below 2e-8, 3.60(10)e-16; both apart where a double has no digits so far behind its first."""
    last = sem.adjusted() - (sem.scaleb(-sem.adjusted()) < 2)
    if max(value, -value, sem).adjusted() - last > DOUBLE_DIGITS:
        return f"{float(value):.{DOUBLE_DIGITS}g} ± {float(sem):.0e}"
    rounded = value.quantize(Decimal(1).scaleb(last))
    exponent = max(rounded, -rounded, sem).adjusted()
    mantissa = f"{rounded.scaleb(-exponent):.{exponent - last}f}({sem.scaleb(-last):.0f})"
    return f"{mantissa}e{exponent:+03d}" if exponent else mantissa
