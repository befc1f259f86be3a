"""The result as one JSON object and as tables with their provenance."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ntkcheck.json_text import json_text
from ntkcheck.measurement import Series
from ntkcheck.records import LEVEL, Row, account, flat, provenances
from ntkcheck.reference.experiment import Cell
from ntkcheck.reference.run import Result
from ntkcheck.reference.savings import savings
from ntkcheck.stats import Estimate
from ntkcheck.table import RECORD_DIGITS, csv_text, origins

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
        **account(result.by_name),
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


def row(row: Row[Cell, Estimate]) -> dict[str, Any]:
    """A number with its interval as a flat row."""
    return {**_subject(row), "quantity": row.quantity, **flat(row.estimate, row.method, row.record)}


def points(curve: Row[Cell, Series]) -> list[dict[str, Any]]:
    """A series as flat rows, one a place."""
    value, sem, n, at = curve.estimate
    return [
        {**_subject(curve), "quantity": curve.quantity, "at": float(at[i]), "value": _digits(value[i])}
        | {"sem": _digits(sem[i]), "n": n, "record": curve.record.key[:RECORD_DIGITS]}
        for i in range(len(at))
    ]


def _curve(curve: Row[Cell, Series]) -> dict[str, Any]:
    value, sem, n, at = curve.estimate
    through = {"at": at.tolist(), "value": value.tolist(), "sem": sem.tolist(), "n": n, "method": curve.method}
    return {**_subject(curve), "quantity": curve.quantity, **through}


def _digits(value: float) -> float:
    """Six digits, more than any error of these series leaves."""
    return float(f"{value:.6g}")


def _subject(found: Row[Cell, Any]) -> dict[str, Any]:
    """The model and its size, and precision and device where they matter."""
    parameters = found.cell.parameters
    return {name: parameters.get(name) for name in (*SIZE, *WHERE)} | {"kind": found.cell.kind}


def _origin(result: Result, command: str) -> Iterable[str]:
    yield f"command: {command}"
    if result.experiment.source:
        yield f"data: {result.experiment.source}"
    yield from origins(provenances(result.records.values()))
