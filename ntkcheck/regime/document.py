"""The result as one JSON object, and as CSV rows."""

import csv
import io
import json
import math
from dataclasses import asdict
from typing import Any

from ntkcheck.claims import Verdict
from ntkcheck.measurement import confidence_interval
from ntkcheck.regime.provenance import provenance
from ntkcheck.regime.run import LEVEL, Result
from ntkcheck.regime.verdict import Regime

COLUMNS: tuple[str, ...] = ("subject", "quantity", "width", "value", "sem", "n", "low", "high", "method")


def document(result: Result) -> dict[str, Any]:
    """One object with all of a run; the same settings on the same machine give the same object but for `times`."""
    settings = asdict(result.experiment.settings)
    chosen = zip(settings["normalizers"], result.experiment.networks, strict=True)
    settings["normalizers"] = [choice if isinstance(choice, str) else name for choice, name in chosen]
    settings["sigma_w"] = next(iter(result.experiment.networks.values())).sigma_w
    return {
        "program": "ntkcheck.regime",
        "complete": result.complete,
        "settings": settings,
        "data": result.experiment.source,
        "level": LEVEL,
        "verdicts": {name: _respects(found) for name, found in result.regimes().items()},
        "claims": {id: _claim(verdict) for id, verdict in result.verdicts().items()},
        "measurements": rows(result),
        "curves": [_curve(curve) for curve in result.curves],
        "provenance": provenance(),
        "times": {"seconds": {name: round(seconds, 3) for name, seconds in result.seconds.items()}},
    }


def to_json(result: Result) -> str:
    """The document as JSON text; numbers that are not finite are the strings "inf", "-inf" and "nan", because JSON has none."""
    return json.dumps(_jsonable(document(result)), indent=1, allow_nan=False) + "\n"


def to_csv(result: Result) -> str:
    """One row a measurement."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(result))
    return text.getvalue()


def rows(result: Result) -> list[dict[str, Any]]:
    """Measurements with their intervals at the run's level, as flat rows."""
    return [
        {
            "subject": m.subject,
            "quantity": m.quantity,
            "width": m.width,
            **m.estimate._asdict(),
            **confidence_interval(m.estimate, LEVEL)._asdict(),
            "method": m.method,
        }
        for m in result.measurements
    ]


def _respects(found: dict[str, Regime]) -> dict[str, Any]:
    return {
        respect: {
            "verdict": regime.verdict,
            "theory": regime.theory,
            "value": regime.estimate.value,
            **regime.interval._asdict(),
            "critical_band": list(regime.band),
            "reason": regime.reason,
        }
        for respect, regime in found.items()
    }


def _claim(verdict: Verdict) -> dict[str, Any]:
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


def _outcome(outcome) -> dict[str, Any]:
    measured = {"value": None, "sem": None, "n": None, "low": None, "high": None}
    if outcome.estimate:
        measured = outcome.estimate._asdict() | outcome.interval._asdict()
    return {**asdict(outcome.test), "answer": outcome.answer, "measured": measured}


def _curve(curve) -> dict[str, Any]:
    return {key: value.tolist() if hasattr(value, "tolist") else value for key, value in curve._asdict().items()}


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
