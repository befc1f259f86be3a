"""Tests of an estimate against bounds that were written down before measuring; each returns a p value."""

import math

from scipy import stats

from ntkcheck.stats.estimate import Estimate, check_estimate


def greater_test(estimate: Estimate, bound: float) -> float:
    """The p value of "the truth is at most `bound`": P(t_{n-1} >= (value - bound) / sem).

    Args:
        estimate: a mean of independent samples; without noise, p is 0 where value > bound and 1 elsewhere.
        bound: a number; an infinite one is certain to hold or to fail.

    Raises:
        ValueError: for an estimate without an interval, or a bound that is not a number.

    Assumes:
        a mean that is close to normal.
    """
    check_estimate(estimate)
    if math.isnan(bound):
        raise ValueError("`bound` must be a number, got nan; write an open side as inf.")
    if estimate.sem == 0:
        return float(estimate.value <= bound)
    return float(stats.t.sf((estimate.value - bound) / estimate.sem, estimate.n - 1))


def less_test(estimate: Estimate, bound: float) -> float:
    """The p value of "the truth is at least `bound`": P(t_{n-1} <= (value - bound) / sem).

    Args:
        estimate: a mean of independent samples; without noise, p is 0 where value < bound and 1 elsewhere.
        bound: a number; an infinite one is certain to hold or to fail.

    Raises:
        ValueError: for an estimate without an interval, or a bound that is not a number.

    Assumes:
        a mean that is close to normal.
    """
    return greater_test(estimate._replace(value=-estimate.value), -bound)


def equivalence_test(estimate: Estimate, low: float, high: float) -> float:
    """The p value of "the truth lies outside (low, high)", by two one-sided tests: the larger of their p values.

    A small p says that the truth lies inside; a large one does not say that it lies outside.

    Source: Schuirmann 1987, A comparison of the two one-sided tests procedure and the power approach.

    Args:
        estimate: a mean of independent samples, or a value without noise.
        low: the lower margin of equivalence, possibly -inf.
        high: the upper margin, above `low`, possibly inf.

    Raises:
        ValueError: for an estimate without an interval, or margins that are not in order.

    Assumes:
        a mean that is close to normal.
    """
    if not low < high:
        raise ValueError(f"`low` must lie below `high`, got {low} and {high}; swap them or widen the margin.")
    return max(greater_test(estimate, low), less_test(estimate, high))
