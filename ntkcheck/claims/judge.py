"""From measurements and the bounds that were written down before to a verdict: one function for all claims."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ntkcheck.measurement import confidence_interval
from ntkcheck.stats import Estimate, Interval, samples_to_decide

SUPPORTED, REFUTED, QUALIFIED = "supported", "refuted", "qualified"
INCONCLUSIVE, UNTESTED = "inconclusive", "untested"


@dataclass(frozen=True)
class Test:
    """One question to a claim: does a quantity lie within bounds?

    Attributes:
        name: Of the measurement that answers it.
        says: What is measured, in words.
        low: Least value that the claim predicts.
        high: Greatest value that the claim predicts.
        weaker: Whether it asks beyond the paper's assumptions; such a test can qualify a claim and not refute it.
        otherwise: What holds instead, where the measurement lies outside.
    """

    name: str
    says: str
    low: float
    high: float
    weaker: bool = False
    otherwise: str = ""


@dataclass(frozen=True)
class Claim:
    """A statement as its paper makes it, and the tests that make it operational."""

    id: str
    statement: str
    source: str
    tests: tuple[Test, ...]


@dataclass(frozen=True)
class Outcome:
    """A test's answer: `inside`, `outside` or `straddles`; `missing` where nothing was measured, or nothing finite."""

    test: Test
    answer: str
    estimate: Estimate | None = None
    interval: Interval | None = None


@dataclass(frozen=True)
class Verdict:
    """A claim's verdict, the outcome that decided it, and all outcomes."""

    claim: Claim
    verdict: str
    decisive: Outcome
    reason: str
    outcomes: tuple[Outcome, ...]


def judge(claim: Claim, found: Mapping[str, Estimate | None], level: float) -> Verdict:
    """The verdict on a claim from the intervals of its measurements.

    A stated test outside its bounds refutes; missing, the claim is untested; straddling, inconclusive. With all stated tests
    inside, a weaker test outside qualifies the claim, one that straddles leaves it inconclusive, and otherwise it is supported.

    Args:
        claim: The claim with its bounds.
        found: Estimate by test name; None, or no entry, where it was not measured.
        level: Of every interval. Pass a level corrected for the number of intervals that are judged at once.
    """
    outcomes = tuple(_answer(test, found.get(test.name), level) for test in claim.tests)
    stated = [outcome for outcome in outcomes if not outcome.test.weaker]
    weaker = [outcome for outcome in outcomes if outcome.test.weaker and outcome.answer != "missing"]
    for verdict, group, answer in (
        (REFUTED, stated, "outside"),
        (UNTESTED, stated, "missing"),
        (INCONCLUSIVE, stated, "straddles"),
        (QUALIFIED, weaker, "outside"),
        (INCONCLUSIVE, weaker, "straddles"),
    ):
        decisive = next((outcome for outcome in group if outcome.answer == answer), None)
        if decisive:
            return Verdict(claim, verdict, decisive, _reason(verdict, decisive, level), outcomes)
    return Verdict(claim, SUPPORTED, outcomes[0], _reason(SUPPORTED, outcomes[0], level), outcomes)


def _answer(test: Test, estimate: Estimate | None, level: float) -> Outcome:
    if estimate is None:
        return Outcome(test, "missing")
    ends = confidence_interval(estimate, level)
    if not math.isfinite(estimate.value):
        return Outcome(test, "missing", estimate, ends)
    if test.low <= ends.low and ends.high <= test.high:
        return Outcome(test, "inside", estimate, ends)
    if ends.high < test.low or test.high < ends.low:
        return Outcome(test, "outside", estimate, ends)
    return Outcome(test, "straddles", estimate, ends)


def _reason(verdict: str, outcome: Outcome, level: float) -> str:
    test, estimate = outcome.test, outcome.estimate
    if estimate is None:
        return f"not measured in this run: {test.says}"
    if outcome.answer == "missing":
        return f"broke down in this run ({estimate.value}): {test.says}"
    where = {"inside": "inside", "outside": "outside", "straddles": "across the edge of"}[outcome.answer]
    text = f"{test.says}: {estimate.value:.6g}, {where} [{test.low:.6g}, {test.high:.6g}]"
    if verdict == INCONCLUSIVE:
        more = samples_to_decide(estimate, (test.low, test.high), level)
        return f"{text}; {'no number of samples' if more is None else f'about {more} more samples (networks, draws)'} would decide"
    return f"{text}; {test.otherwise}" if outcome.answer == "outside" and test.otherwise else text
