"""A measurement against its bounds, as the coordinates and the words of a small figure."""

import math
from typing import NamedTuple

from ntkcheck.claims import Outcome, Test
from ntkcheck.measurement import with_error
from ntkcheck.stats import Estimate

WIDTH, HEIGHT = 640, 84
LEFT, RIGHT = 120, 520  # what is drawn lies between; labels of the bounds stand beside the band
MINUS = "\u2212"
PADDING = 0.12  # of the span of what is drawn

ANSWERS = {
    "inside": "inside the bounds",
    "outside": "outside the bounds",
    "straddles": "across a bound",
    "missing": "not measured",
}


class Plot(NamedTuple):
    """Coordinates from left to right.

    Attributes:
        band: Of the bounds; an open side reaches the edge.
        is_open: Whether the lower and the upper bound is infinite.
        interval: Of the measurement's interval, or None where there is no sampling noise, or nothing finite.
        point: Of the measurement, or None where there is nothing finite.
        label: The measurement in figures.
        low: The lower bound in figures, "" where it is infinite.
        high: The upper bound.
        alternative: All of it in a sentence.
    """

    band: tuple[float, float]
    is_open: tuple[bool, bool]
    interval: tuple[float, float] | None
    point: float | None
    label: str
    low: str
    high: str
    alternative: str


def plot(outcome: Outcome, level: float) -> Plot:
    """The figure of one test.

    Args:
        outcome: Measurement, interval and bounds.
        level: Of the interval.
    """
    test, estimate, ends = outcome.test, outcome.estimate, outcome.interval
    value = estimate.value if estimate and math.isfinite(estimate.value) else None
    drawn = None if ends is None or value is None or ends.low == ends.high else (ends.low, ends.high)
    low, high = _domain([test.low, test.high, *([] if value is None else [value]), *(drawn or ())])

    def place(x: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (min(max(x, low), high) - low) / (high - low), 2)

    return Plot(
        (place(test.low), place(test.high)),
        (math.isinf(test.low), math.isinf(test.high)),
        drawn and (place(drawn[0]), place(drawn[1])),
        None if value is None else place(value),
        measured(estimate) if estimate else "",
        "" if math.isinf(test.low) else figures(test.low),
        "" if math.isinf(test.high) else figures(test.high),
        alternative(outcome, level),
    )


def alternative(outcome: Outcome, level: float) -> str:
    """What the figure of a test shows, for those who do not see it."""
    test, estimate = outcome.test, outcome.estimate
    if estimate is None:
        return f"{test.name}: not measured; the claim predicts {bounds(test)}."
    if not math.isfinite(estimate.value):
        return f"{test.name}: broke down ({estimate.value}); the claim predicts {bounds(test)}."
    return (
        f"{test.name}: measured {measured(estimate)}, {interval(outcome, level)}, which lies {ANSWERS[outcome.answer]}; "
        f"the claim predicts {bounds(test)}."
    )


def bounds(test: Test) -> str:
    """The bounds in words: "at least 0.7", "from 0.98 to 1.02"."""
    if math.isinf(test.low):
        return f"at most {figures(test.high)}"
    return f"at least {figures(test.low)}" if math.isinf(test.high) else f"{figures(test.low)} to {figures(test.high)}"


def measured(estimate: Estimate | None) -> str:
    """A measurement with its standard error in the last digits; a dash where there is none."""
    return with_error(estimate).replace("-", MINUS)


def interval(outcome: Outcome, level: float) -> str:
    """The interval in words, with its level."""
    estimate, ends = outcome.estimate, outcome.interval
    if estimate is None or ends is None or not math.isfinite(estimate.value):
        return "no interval"
    if ends.low == ends.high:
        return "without sampling noise"
    return f"{percent(level)} interval {figures(ends.low)} to {figures(ends.high)}"


def percent(level: float) -> str:
    """A level with as many digits as tell it from 1: 0.99 is 99%, 0.99987 99.987%."""
    digits = max(0, math.ceil(-math.log10(1 - level)) - 1)
    return f"{round(100 * level, digits):.10g}%"


def figures(value: float, digits: int = 7) -> str:
    """A number with so many significant digits at most, and with a true minus sign."""
    return f"{value:.{digits}g}".replace("-", MINUS)


def _domain(values: list[float]) -> tuple[float, float]:
    """What the figure reaches over: all that is finite, and some room on either side."""
    finite = [value for value in values if math.isfinite(value)]
    least, greatest = min(finite), max(finite)
    room = PADDING * ((greatest - least) or abs(greatest) or 1)
    return least - room, greatest + room
