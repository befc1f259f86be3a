"""Order, criticality or chaos, for the forward correlation and for the gradient apart."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from ntkcheck.measurement import confidence_interval
from ntkcheck.stats import Estimate, Interval

ORDERED, CRITICAL, CHAOTIC, INCONCLUSIVE = "ordered", "critical", "chaotic", "inconclusive"
VERDICTS = (ORDERED, CRITICAL, CHAOTIC, INCONCLUSIVE)
DECIDED_BY = {"correlation": "correlation_slope", "gradient": "gradient_growth"}


class Regime(NamedTuple):
    """The regime of one normaliser in one respect.

    Attributes:
        verdict: From the networks of finite width.
        theory: From infinite width.
        estimate: The growth per layer that decides, at finite width.
        interval: Its confidence interval.
        band: Growth per layer that counts as critical.
        reason: One line.
    """

    verdict: str
    theory: str
    estimate: Estimate
    interval: Interval
    band: Interval
    reason: str


def critical_band(depth: int) -> Interval:
    """Growth factors that a network of this depth cannot tell from 1: a depth scale 1/|ln growth| of at least its depth."""
    return Interval(math.exp(-1 / depth), math.exp(1 / depth))


def classify(growth: Interval, band: Interval) -> str:
    """Chaotic above the band, ordered below, critical inside; inconclusive where the interval crosses an edge, or is NaN."""
    if growth.low > band.high:
        return CHAOTIC
    if growth.high < band.low:
        return ORDERED
    return CRITICAL if band.low <= growth.low and growth.high <= band.high else INCONCLUSIVE


def regimes(
    finite: Mapping[str, Estimate | None], infinite: Mapping[str, Estimate | None], depth: int, level: float
) -> dict[str, Regime]:
    """The regime by respect, `correlation` and `gradient`; those whose growth was measured at finite width.

    Args:
        finite: Growth per layer by respect, at finite width.
        infinite: The same in infinite width.
        depth: Hidden layers; the critical band follows from it.
        level: Of the intervals.
    """
    band = critical_band(depth)
    return {
        respect: _regime(respect, estimate, infinite.get(respect), band, level)
        for respect, estimate in finite.items()
        if estimate is not None
    }


def _regime(respect: str, finite: Estimate, infinite: Estimate | None, band: Interval, level: float) -> Regime:
    ends = confidence_interval(finite, level)
    verdict = classify(ends, band)
    theory = classify(confidence_interval(infinite, level), band) if infinite else INCONCLUSIVE
    grows = {"correlation": "the distance of close inputs", "gradient": "the squared gradient"}[respect]
    where = {ORDERED: "below", CRITICAL: "inside", CHAOTIC: "above", INCONCLUSIVE: "across an edge of"}[verdict]
    reason = (
        f"{grows} grows by {finite.value:.4f} [{ends.low:.4f}, {ends.high:.4f}] per layer, {where} the critical band "
        f"[{band.low:.4f}, {band.high:.4f}]"
    )
    if math.isnan(finite.value):
        reason = f"the growth per layer of {grows} broke down: not finite in at least one of {finite.n} networks"
    if infinite:
        reason += f"; infinite width {infinite.value:.4f}, {theory}"
    return Regime(verdict, theory, finite, ends, band, reason)
