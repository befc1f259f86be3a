"""Run the checks of claims and judge them together."""

from collections.abc import Callable

import numpy as np

from ntkcheck.claims import ledger, literature, mimicnorm
from ntkcheck.claims.evidence import Answers, Evidence
from ntkcheck.claims.judge import Claim, Verdict, judge
from ntkcheck.measurement import FINITE, INFINITE, Measurement
from ntkcheck.stats import bonferroni_level

CHECKS: dict[str, Callable[[Evidence], Answers]] = mimicnorm.CHECKS | literature.CHECKS
QUICK = tuple(id for id in CHECKS if id != "MN-5")  # which compiles networks of several widths
LEAST_BATCH = 4  # gradients and NTK of smaller batches are infinite under BatchNorm


@np.errstate(divide="ignore", invalid="ignore")  # what breaks down is recorded as such
def measure(claim_id: str, evidence: Evidence) -> tuple[Answers, list[Measurement]]:
    """Answers of one claim's check, also as measurements; none where the batch is too small for BatchNorm's theory."""
    if evidence.batch_size < LEAST_BATCH:
        return {}, []
    answers = CHECKS[claim_id](evidence)
    made = [
        Measurement(claim_id, name, FINITE if estimate.n else INFINITE, estimate, f"check of {claim_id}")
        for name, estimate in answers.items()
        if estimate is not None
    ]
    return answers, made


def verdicts(answers: dict[str, Answers], level: float = 0.95) -> dict[str, Verdict]:
    """Judge claims together: every interval at a level corrected for the number of intervals with sampling noise.

    Args:
        answers: Estimates by test, by claim.
        level: With which all intervals hold together.
    """
    claims = ledger.load()
    count = sum(len(_noisy(claims[id], found)) for id, found in answers.items())
    corrected = bonferroni_level(level, max(1, count))
    return {id: judge(claims[id], found, corrected) for id, found in answers.items()}


def _noisy(claim: Claim, found: Answers) -> list[str]:
    estimates = {test.name: found.get(test.name) for test in claim.tests}
    return [name for name, estimate in estimates.items() if estimate is not None and estimate.sem > 0]
