"""The result as one JSON object and as CSV rows."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ntkcheck import kernels
from ntkcheck.data import Dataset
from ntkcheck.disturbance.normalizer import name_of
from ntkcheck.disturbance.run import Result
from ntkcheck.disturbance.settings import Cell, Line
from ntkcheck.json_text import json_text
from ntkcheck.records import LEVEL, account, flat, with_interval
from ntkcheck.store import Record
from ntkcheck.table import csv_text

PLACE: tuple[str, ...] = ("population", "features", "normalizer", "group_size", "groups", "iterations", "batch_size")
COLUMNS: tuple[str, ...] = (*PLACE, "quantity", "value", "sem", "n", "low", "high", "method", "record")


def document(result: Result, claims: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One object with all of a run; the same settings on the same machine give the same object but for `times`.

    Args:
        result: What is known of the experiment.
        claims: Verdicts on claims, as they are to be written.
    """
    settings = asdict(result.experiment.settings)
    settings["normalizers"] = [c if isinstance(c, str) else name_of(c) for c in result.experiment.settings.normalizers]
    populations = result.experiment.populations.items()
    return {
        "program": "ntkcheck.snd",
        "complete": result.complete,
        "settings": settings,
        "populations": [{"population": spec, **_population(found)} for (spec, _), found in populations],
        "left_out": list(result.experiment.left_out),
        "level": LEVEL,
        "claims": claims or {},
        "lines": [_line(result, line) for line in result.lines],
        "measurements": rows(result),
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
            **_place(row.cell.line),
            "batch_size": row.cell.batch_size,
            "quantity": row.quantity,
            **flat(row.estimate, row.method, row.record),
        }
        for row in result.rows()
    ]


def by_name(result: Result) -> dict[str, Record]:
    """The records by what their cells are called."""
    return {words(cell): record for cell, record in result.records.items()}


def words(cell: Cell) -> str:
    """A cell in words: "zca, g = 8 (4 groups), m = 64 on gaussian, d = 32"."""
    return f"{label(cell.line)}, m = {cell.batch_size} on {cell.line.population}, d = {cell.line.features}"


def label(line: Line) -> str:
    """The normaliser of a line with its group size, its number of groups and its Newton steps, as far as it has them."""
    parts = [line.normalizer]
    if line.group_size:
        parts.append(f"g = {line.group_size} ({line.groups} group{'s' * (line.groups != 1)})")
    return ", ".join([*parts, *([f"T = {line.iterations}"] if line.iterations else [])])


def own_condition_number(population: Dataset) -> float:
    """The condition number of the samples' own covariance, before anything normalises them."""
    return float(kernels.condition_number(np.cov(population.x, rowvar=False).reshape(population.x.shape[1], -1)))


def _place(line: Line) -> dict[str, Any]:
    return {name: getattr(line, name) for name in PLACE if name != "batch_size"}


def _population(found: Dataset) -> dict[str, Any]:
    samples, features = found.x.shape
    return {
        "samples": samples,
        "features": features,
        "condition_number": own_condition_number(found),
        "source": found.source,
    }


def _line(result: Result, line: Line) -> dict[str, Any]:
    """What is said of a normaliser over all batch sizes."""
    power = result.slope(line)
    exponent = with_interval(power.exponent) if power else None
    return {**_place(line), "law_holds_from": result.holds_from(line), "slope": exponent}
