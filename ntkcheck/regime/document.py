"""The result as one JSON object and as CSV rows."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ntkcheck.json_text import json_text
from ntkcheck.records import LEVEL, account, flat
from ntkcheck.regime.run import Curve, Result
from ntkcheck.regime.verdict import Regime
from ntkcheck.store import Record
from ntkcheck.table import csv_text

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
        **account(by_name(result)),
    }


def to_json(result: Result, claims: Mapping[str, Any] | None = None) -> str:
    """The document as JSON text."""
    return json_text(document(result, claims))


def to_csv(result: Result) -> str:
    """One row a number."""
    return csv_text(rows(result), columns=COLUMNS)


def rows(result: Result) -> list[dict[str, Any]]:
    """Numbers with their intervals at the run's level, as flat rows; `record` is what `ntkcheck store show` takes."""
    return [
        {
            "subject": row.subject,
            "quantity": row.quantity,
            "width": row.width,
            **flat(row.estimate, row.method, row.record),
        }
        for row in result.rows()
    ]


def by_name(result: Result) -> dict[str, Record]:
    """The records by what their cells are called: "batch_norm, finite width"."""
    return {f"{name}, {width} width": record for (name, width), record in result.records.items()}


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
