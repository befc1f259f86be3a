"""Corrections for asking many questions of the same data."""

import numpy as np
from jaxtyping import Float

from ntkcheck.stats.arguments import check_level, finite_vector


def holm(p_values: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """Holm's adjusted p values: with p sorted, max over j <= i of (m - j + 1) p_j, at most 1, in the order given.

    Rejecting where the adjusted value is at most alpha makes any false rejection at all happen with probability at most
    alpha, however the tests depend on each other.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure.

    Args:
        p_values: one p value per test, each in [0, 1].

    Raises:
        ValueError: for no tests, or a value outside [0, 1].
    """
    p = finite_vector("p_values", p_values, fewest=1)
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"`p_values` must lie in [0, 1], got {p.min()} to {p.max()}; pass probabilities.")
    order = np.argsort(p, kind="stable")
    remaining = np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(remaining * p[order]))
    return adjusted


def bonferroni_level(level: float, count: int) -> float:
    """The level of each of `count` intervals that makes them hold together at `level`: 1 - (1 - level) / count.

    Args:
        level: the probability with which all intervals cover their truths, in (0, 1).
        count: how many intervals are read together, at least 1.

    Raises:
        ValueError: for a level outside (0, 1) or a count below 1.
    """
    check_level(level)
    if count < 1:
        raise ValueError(f"`count` must be at least 1, got {count}; count the intervals that are read together.")
    return 1 - (1 - level) / count
