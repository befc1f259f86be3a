"""The ledger of claims: statements and bounds as data, one small check a claim, one function that judges them all."""

from ntkcheck.claims.check import Checked, check, known, rests_on, stale, verdicts
from ntkcheck.claims.evidence import Answers, Evidence, exact
from ntkcheck.claims.judge import LEVEL, Claim, Outcome, Test, Verdict, judge
from ntkcheck.claims.ledger import load

__all__ = [
    "LEVEL",
    "Answers",
    "Checked",
    "Claim",
    "Evidence",
    "Outcome",
    "Test",
    "Verdict",
    "check",
    "exact",
    "judge",
    "known",
    "load",
    "rests_on",
    "stale",
    "verdicts",
]
