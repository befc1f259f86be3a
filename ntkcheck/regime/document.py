"""The result as one JSON object and as CSV rows."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ntkcheck.json_text import json_text
from ntkcheck.measurement import confidence_interval
from ntkcheck.regime.run import LEVEL, Curve, Result
from ntkcheck.regime.verdict import Regime

COLUMNS: tuple[str, ...] = ("subject", "quantity", "width", "value", "sem", "n", "low", "high", "method", "record")


def document(result: Result, claims: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One object with all of a run; the same settings on the same machine give the same object but for `times`.

    Args:
        result: What is known of the experiment.
        claims: Verdicts on claims, as they are to be written.
    """
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
        "claims": claims or {},
        "measurements": rows(result),
        "curves": [_curve(curve) for curve in result.curves()],
        "failures": {f"{name}, {width} width": reason for (name, width), reason in result.failures.items()},
        "provenance": _provenance(result),
        "times": {
            "seconds": {f"{name}, {width} width": round(r.seconds, 3) for (name, width), r in result.records.items()},
            "started": {f"{name}, {width} width": r.started for (name, width), r in result.records.items()},
        },
    }


def to_json(result: Result, claims: Mapping[str, Any] | None = None) -> str:
    """The document as JSON text."""
    return json_text(document(result, claims))


def to_csv(result: Result) -> str:
    """One row a number."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(result))
    return text.getvalue()


def rows(result: Result) -> list[dict[str, Any]]:
    """Numbers with their intervals at the run's level, as flat rows; `record` is what `ntkcheck store show` takes."""
    return [
        {
            "subject": row.subject,
            "quantity": row.quantity,
            "width": row.width,
            **row.estimate._asdict(),
            **confidence_interval(row.estimate, LEVEL)._asdict(),
            "method": row.method,
            "record": row.record.key[:12],
        }
        for row in result.rows()
    ]


def _provenance(result: Result) -> list[dict[str, str]]:
    """Where the numbers come from; one entry where all come from the same versions and device."""
    found: list[dict[str, str]] = []
    for record in result.records.values():
        if record.provenance not in found:
            found.append(record.provenance)
    return found


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


def _curve(curve: Curve) -> dict[str, Any]:
    value, sem, n, depth = curve.series
    through = {"depth": depth.tolist(), "value": value.tolist(), "sem": sem.tolist(), "n": n}
    return {"subject": curve.subject, "quantity": curve.quantity, "width": curve.width, **through}
