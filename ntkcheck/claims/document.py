"""Verdicts as nested dictionaries, for JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ntkcheck.claims.judge import Outcome, Verdict


def document(verdicts: Mapping[str, Verdict]) -> dict[str, dict[str, Any]]:
    """Every verdict by the claim's identifier, with the measurement that decided it and all others."""
    return {id: _verdict(verdict) for id, verdict in verdicts.items()}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    estimate, ends = verdict.decisive.estimate, verdict.decisive.interval
    return {
        "verdict": verdict.verdict,
        "value": estimate.value if estimate else None,
        "low": ends.low if ends else None,
        "high": ends.high if ends else None,
        "reason": verdict.reason,
        "decided_by": verdict.decisive.test.name,
        "bounds": [verdict.decisive.test.low, verdict.decisive.test.high],
        "statement": verdict.claim.statement,
        "source": verdict.claim.source,
        "tests": [_outcome(outcome) for outcome in verdict.outcomes],
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    measured = {"value": None, "sem": None, "n": None, "low": None, "high": None}
    if outcome.estimate and outcome.interval:
        measured = outcome.estimate._asdict() | outcome.interval._asdict()
    return {**asdict(outcome.test), "answer": outcome.answer, "measured": measured}
