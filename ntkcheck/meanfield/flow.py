"""Fixed points of increasing maps of one positive number, such as the length map."""

import math
from collections.abc import Callable

from scipy.optimize import root_scalar

NEUTRAL = 1e-14  # a growth this close to 1 is 1 up to rounding: the number stays where it is


def root(f: Callable[[float], float], low: float, high: float) -> float:
    """The zero of f between two arguments at which its signs differ, to rounding relative to the zero (Brent's method)."""
    return float(root_scalar(f, bracket=(low, high), method="brentq", xtol=1e-300, rtol=1e-15).root)


def flow_limit(growth: Callable[[float], float], start: float, least: float = 1e-8, most: float = 1e8) -> float:
    """Where the iteration q <- growth(q) q ends: the fixed point next to `start` in the direction of the flow.

    The flow is followed in steps of a factor 2 until growth - 1 changes its sign, and the fixed point found between the last two,
    because the iteration itself stalls where a fixed point attracts slowly.

    Args:
        growth: q -> q' / q.
        start: A positive number.
        least: Where a shrinking q passes it, the limit counts as 0.
        most: Where a growing q passes it, the limit counts as infinite.

    Returns:
        The limit; `start` itself where growth(start) = 1 up to rounding.

    Assumes:
        q -> growth(q) q increases; no two fixed points within a factor 2 of each other.
    """
    excess = growth(start) - 1
    if abs(excess) <= NEUTRAL:
        return start
    factor, q = (2.0 if excess > 0 else 0.5), start
    while q <= most if excess > 0 else q >= least:
        if (growth(factor * q) - 1) * excess <= 0:
            return root(lambda q: growth(q) - 1, q, factor * q)
        q *= factor
    return math.inf if excess > 0 else 0.0
