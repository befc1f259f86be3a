"""From measurements and the bounds that were written down before to a verdict: one function for all claims."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ntkcheck.measurement import confidence_interval
from ntkcheck.stats import Estimate, Interval, samples_to_decide

SUPPORTED, REFUTED, QUALIFIED = "supported", "refuted", "qualified"
INCONCLUSIVE, UNTESTED = "inconclusive", "untested"

# The level with which all intervals that are judged together hold. The worst case is a truth exactly on a bound: it is called
# supported where its interval lies wholly on the inner side of the truth, and refuted where wholly on the outer one, with
# probability (1 - level) / 2 each (Student's t is exact for normal samples of any number). Divided among k intervals by
# `bonferroni_level` that is (1 - level) / (2 k) each, so that any false "supported" among them has probability 0.5% at most, and
# any wrong verdict 1%. At 0.95 it would be 2.5%; 0.98 is what 1% of false "supported" would ask for, with nothing left for
# samples that are not quite normal.
LEVEL = 0.99


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
    """A statement as its paper makes it, and the tests that make it operational.

    Attributes:
        id: Its identifier, which never changes.
        statement: As the paper makes it.
        source: Paper, place in it, arXiv id.
        tests: With the bounds that the statement predicts; one at least is not weaker.
        how: The operational definition: which quantity, which estimator, which sizes.
        check: What answers the tests, `module:function` or `file.py:function`; None where nothing does yet.
        needs: Data or hardware that a run may not have, in words.
        command: What tests the claim, where `ntkcheck claims check ID` does not.
        parameters: Passed to the check by name.
        paper: Stem of the file that the claim stands in.
        folder: Of that file, where the user wrote it; a check's `file.py` is relative to it.
    """

    id: str
    statement: str
    source: str
    tests: tuple[Test, ...]
    how: str = ""
    check: str | None = None
    needs: str = ""
    command: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    paper: str = ""
    folder: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """A test's answer: `inside`, `outside` or `straddles`; `missing` where nothing was measured, or nothing finite."""

    test: Test
    answer: str
    estimate: Estimate | None = None
    interval: Interval | None = None


@dataclass(frozen=True)
class Verdict:
    """A claim's verdict, the outcome that decided it, all outcomes, and the level of their intervals."""

    claim: Claim
    verdict: str
    decisive: Outcome
    outcomes: tuple[Outcome, ...]
    level: float

    @property
    def reason(self) -> str:
        """What decided, in words: the measurement and its bounds, and what would decide or what holds instead."""
        return _reason(self.claim, self.verdict, self.decisive, self.level)


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
            return Verdict(claim, verdict, decisive, outcomes, level)
    return Verdict(claim, SUPPORTED, stated[0], outcomes, level)


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


def _reason(claim: Claim, verdict: str, outcome: Outcome, level: float) -> str:
    test, estimate = outcome.test, outcome.estimate
    if estimate is None:
        return f"not measured: {test.says}; {_remedy(claim)}"
    if outcome.answer == "missing":
        return f"broke down ({estimate.value}): {test.says}"
    where = {"inside": "inside", "outside": "outside", "straddles": "across the edge of"}[outcome.answer]
    text = f"{test.says}: {estimate.value:.6g}, {where} [{test.low:.6g}, {test.high:.6g}]"
    if verdict == INCONCLUSIVE:
        more = samples_to_decide(estimate, (test.low, test.high), level)
        return f"{text}; {'no number of samples' if more is None else f'about {more} more samples (networks, draws)'} would decide"
    return f"{text}; {test.otherwise}" if outcome.answer == "outside" and test.otherwise else text


def _remedy(claim: Claim) -> str:
    """What would test the claim."""
    if claim.check is None:
        return "this version has no check for it yet"
    needs = f"with {claim.needs}, " if claim.needs else ""
    own = f" --own {claim.paper}.toml" if claim.folder else ""
    return f"{needs}`{claim.command or f'ntkcheck claims{own} check {claim.id}'}` tests it"
