"""How many more samples would make an interval clear of a bound."""

import math
from collections.abc import Sequence

from scipy import stats

from ntkcheck.stats.arguments import check_level
from ntkcheck.stats.estimate import Estimate, check_estimate, half_width


def samples_to_decide(estimate: Estimate, bounds: Sequence[float], level: float = 0.95) -> int | None:
    """The number of further samples after which the interval would no longer reach the nearest bound.

    The least N - n with t_{N-1}((1 + level) / 2) sem sqrt(n / N) < |value - bound|, taking value and spread as they are.

    Args:
        estimate: a mean of n independent samples, or a value without noise.
        bounds: the bounds of the claim; infinite ones do not count.
        level: of the interval, in (0, 1).

    Returns:
        The further samples, 0 where the interval is clear of every bound already; None where no number would decide,
        because the value lies on a bound (or nearer to it than float64 can count samples for).

    Raises:
        ValueError: for an estimate without an interval, a level outside (0, 1), or no finite bound.
    """
    check_estimate(estimate)
    check_level(level)
    distance = _nearest_distance(estimate.value, bounds)
    sem, n = estimate.sem, estimate.n
    if distance == 0:
        return None
    if half_width(sem, n, level) < distance:
        return 0
    deviation = sem * math.sqrt(n)
    normal = float(stats.norm.isf((1 - level) / 2)) * deviation / distance
    if math.isinf(normal * normal):
        return None
    # t exceeds the normal quantile, so normal^2 samples are too few (up to rounding); double until they are enough.
    few, enough = n, 2 * max(n, math.ceil(normal * normal))
    while not _decides(enough, deviation, distance, level):
        few, enough = enough, 2 * enough
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if _decides(middle, deviation, distance, level) else (middle, enough)
    return enough - n


def _decides(n: int, deviation: float, distance: float, level: float) -> bool:
    return half_width(deviation / math.sqrt(n), n, level) < distance


def _nearest_distance(value: float, bounds: Sequence[float]) -> float:
    finite = [bound for bound in bounds if math.isfinite(bound)]
    if not finite or any(math.isnan(bound) for bound in bounds):
        raise ValueError(
            f"`bounds` must hold at least one finite number and no nan, got {list(bounds)}; state the bound."
        )
    return min(abs(value - bound) for bound in finite)
