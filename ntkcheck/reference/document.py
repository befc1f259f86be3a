"""The result as one JSON object and as tables with their provenance."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ntkcheck.json_text import json_text
from ntkcheck.measurement import confidence_interval
from ntkcheck.reference.run import Curve, Result, Row
from ntkcheck.reference.savings import savings
from ntkcheck.table import csv_text, origins

LEVEL = 0.95
SIZE = ("model", "normalizer", "form", "image", "batch", "classes")
WHERE = ("precision", "device")
NOTES = {
    "saved_residuals": (
        "Bytes kept for the backward pass, by shape evaluation, in MB of a million bytes; parameters and images are not counted.",
        "saved_by_fused_layers: layers with backward passes of their own, as in PyTorch: BatchNorm keeps its input and statistics.",
        "saved_as_differentiated: this program, BatchNorm written out and differentiated automatically.",
        "printed: memory in all, MimicNorm (arXiv 2010.09278), with parameters, gradients, workspaces and the allocator's reserve.",
        "printed_less_fused: what saved_by_fused_layers leaves unexplained of it.",
    )
}


def document(result: Result, command: str, claims: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One object with all of a run; the same settings on the same machine give the same object but for what is timed.

    Args:
        result: What is known of the experiment.
        command: The command that was given.
        claims: Verdicts on claims, as they are to be written.
    """
    return {
        "program": "ntkcheck.reference",
        "command": command,
        "complete": result.complete,
        "settings": asdict(result.experiment.settings),
        "device": result.experiment.device,
        "data": result.experiment.source,
        "level": LEVEL,
        "claims": claims or {},
        "measurements": [row(each) for each in result.rows()],
        "curves": [_curve(each) for each in result.curves()],
        "saved_residuals": [saving.flat() for saving in savings(result)],
        "failures": result.failures,
        "provenance": _provenance(result),
        "times": {
            "seconds": {f"{cell.subject}, {cell.kind}": round(r.seconds, 3) for cell, r in result.found()},
            "started": {f"{cell.subject}, {cell.kind}": r.started for cell, r in result.found()},
        },
    }


def to_json(result: Result, command: str, claims: Mapping[str, Any] | None = None) -> str:
    """The document as JSON text."""
    return json_text(document(result, command, claims))


def tables(result: Result, command: str) -> dict[str, str]:
    """CSV by name: numbers, series, and bytes saved for the backward pass; those that have rows.

    Lines that begin with # say which command made the table, on what; `pandas.read_csv(file, comment="#")` leaves them out.
    """
    found = {
        "measurements": [row(each) for each in result.rows()],
        "curves": [point for each in result.curves() for point in points(each)],
        "saved_residuals": [saving.flat() for saving in savings(result)],
    }
    origin = list(_origin(result, command))
    return {name: csv_text(rows, [*origin, *NOTES.get(name, ())]) for name, rows in found.items() if rows}


def row(row: Row) -> dict[str, Any]:
    """A number with its interval as a flat row; `record` is what `ntkcheck store show` takes."""
    return {
        **_subject(row),
        "quantity": row.quantity,
        **row.estimate._asdict(),
        **confidence_interval(row.estimate, LEVEL)._asdict(),
        "method": row.method,
        "record": row.record.key[:12],
    }


def points(curve: Curve) -> list[dict[str, Any]]:
    """A series as flat rows, one a place."""
    value, sem, n, at = curve.series
    return [
        {**_subject(curve), "quantity": curve.quantity, "at": float(at[i]), "value": _digits(value[i])}
        | {"sem": _digits(sem[i]), "n": n, "record": curve.record.key[:12]}
        for i in range(len(at))
    ]


def _curve(curve: Curve) -> dict[str, Any]:
    value, sem, n, at = curve.series
    through = {"at": at.tolist(), "value": value.tolist(), "sem": sem.tolist(), "n": n, "method": curve.method}
    return {**_subject(curve), "quantity": curve.quantity, **through}


def _digits(value: float) -> float:
    """Six digits, more than any error of these series leaves."""
    return float(f"{value:.6g}")


def _subject(found: Row | Curve) -> dict[str, Any]:
    """The model and its size, and precision and device where they matter."""
    parameters = found.cell.parameters
    return {name: parameters.get(name) for name in (*SIZE, *WHERE)} | {"kind": found.cell.kind}


def _provenance(result: Result) -> list[dict[str, str]]:
    """Where the numbers come from; one entry where all come from the same code, versions and device."""
    found: list[dict[str, str]] = []
    for _, record in result.found():
        if record.provenance not in found:
            found.append(record.provenance)
    return found


def _origin(result: Result, command: str) -> Iterable[str]:
    yield f"command: {command}"
    if result.experiment.source:
        yield f"data: {result.experiment.source}"
    yield from origins(_provenance(result))
