"""The ledger of claims: statements and bounds as data, one small check a claim, one function that judges them all."""

from ntkcheck.claims.check import CHECKS, QUICK, measure, verdicts
from ntkcheck.claims.evidence import Answers, Evidence
from ntkcheck.claims.judge import Claim, Outcome, Test, Verdict, judge
from ntkcheck.claims.ledger import load

__all__ = [
    "CHECKS",
    "QUICK",
    "Answers",
    "Claim",
    "Evidence",
    "Outcome",
    "Test",
    "Verdict",
    "judge",
    "load",
    "measure",
    "verdicts",
]
