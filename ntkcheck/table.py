"""Measurements as CSV tables in long form, under lines that say which command made them, and where."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ntkcheck.measurement import Series
from ntkcheck.store import Record, key_of
from ntkcheck.sweep import cells

COMMENT = "# "
RECORD_DIGITS = 12  # of a record's key, enough for `ntkcheck store show`
MEASURED = ("quantity", "at", "value", "sem", "n", "method", "record")
FAILURE = "failure"  # the quantity of a record that measured nothing; its method is the reason


def csv_text(
    rows: Sequence[Mapping[str, Any]], comments: Iterable[str] = (), columns: Iterable[str] | None = None
) -> str:
    """Rows as CSV, under comments; `pandas.read_csv(file, comment="#")` leaves these out.

    Args:
        rows: At least one, unless there are `columns`.
        comments: One line each.
        columns: Those of the first row unless given; a row that lacks one has it empty.
    """
    text = io.StringIO()
    text.writelines(f"{COMMENT}{line}\n" for line in comments)
    writer = csv.DictWriter(text, list(rows[0] if columns is None else columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def origins(provenances: Iterable[Mapping[str, str]]) -> list[str]:
    """Where numbers come from, a line for each place; the digest of the code is left out, the revision stays."""
    lines = (
        "; ".join(f"{name} {value}" for name, value in sorted(each.items()) if name != "code") for each in provenances
    )
    return list(dict.fromkeys(lines))


def study_table(records: Sequence[Record], command: str) -> str:
    """The table of a study: a row for every estimate and for every place of a series.

    Columns are the parameters (`parameters.NAME` where NAME is one of `MEASURED`), then `MEASURED`: the quantity, its place in a
    series, value, standard error, number of independent samples (0 where there is no sampling noise), method, and the first
    digits of the record's key. A record that failed has one row, of the quantity "failure" with the reason as its method.

    Args:
        records: What was measured, of one function; the same records give the same bytes.
        command: What measures it.
    """
    comments = [f"command: {command}", f"measured by {records[0].function}", *origins(r.provenance for r in records)]
    return csv_text([row for record in records for row in _rows(record)], comments)


def holds_grid(text: str, function: str, grid: object) -> bool:
    """Whether a study's table holds exactly the cells of a grid, all measured.

    Args:
        text: From `study_table`.
        function: Reference of the measure function.
        grid: What `sweep.cells` takes.
    """
    rows = csv.DictReader(uncommented(text))
    found = {row["record"]: row["quantity"] for row in rows}
    wanted = {key_of(function, cell)[:RECORD_DIGITS] for cell in cells(grid)}
    return found.keys() == wanted and FAILURE not in found.values()


def uncommented(text: str) -> list[str]:
    """The lines of a table without the comments above it."""
    lines = text.splitlines(keepends=True)
    return lines[next((i for i, line in enumerate(lines) if not line.startswith(COMMENT)), len(lines)) :]


def _rows(record: Record) -> list[dict[str, Any]]:
    named = {f"parameters.{k}" if k in MEASURED else k: v for k, v in record.parameters.items()}
    rows = _failed(record) if record.failure else [row for found in record.measurements for row in _places(*found)]
    return [{**named, **dict(zip(MEASURED, (*row, record.key[:RECORD_DIGITS]), strict=True))} for row in rows]


def _failed(record: Record) -> list[tuple[Any, ...]]:
    return [(FAILURE, None, None, None, None, record.failure)]


def _places(quantity: str, estimate: Any, method: str) -> list[tuple[Any, ...]]:
    if not isinstance(estimate, Series):
        return [(quantity, None, _digits(estimate.value), _digits(estimate.sem), estimate.n, method)]
    places = zip(estimate.at, estimate.value, estimate.sem, strict=True)
    return [(quantity, _digits(at), _digits(value), _digits(sem), estimate.n, method) for at, value, sem in places]


def _digits(value: float) -> str:
    """Nine digits: as many as quadrature gives, and more than rounding changes from machine to machine."""
    return f"{value:.9g}"
