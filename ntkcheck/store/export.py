"""Records as flat rows, and the files that hold them."""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ntkcheck.measurement import Series
from ntkcheck.store import lines
from ntkcheck.store.parameters import is_function
from ntkcheck.store.record import Record

SUFFIXES = (".csv", ".parquet")
_CELL, _MEASURED = ("key", "function"), ("quantity", "at", "value", "sem", "n", "method")
_CALL = ("failure", "seed", "started", "seconds")


def export(records: Iterable[Record], path: Path) -> int:
    """Write one row a quantity (a series: one a place, at `at`; a failure: one), with a column for every parameter.

    A parameter that has the name of another column is called `parameters.NAME`; one that holds lists, dicts or values of
    several kinds is JSON text; a function is its reference. NaN is a measured NaN; what does not apply is empty.

    Args:
        records: what to write.
        path: a file that ends in .csv or .parquet.

    Returns:
        The number of rows.

    Raises:
        ValueError: as `check_file`.
    """
    import pyarrow  # here alone, where tables are written
    import pyarrow.parquet

    check_file(path)
    records = list(records)
    columns = {name: _of_one_kind(values) for name, values in _columns(records).items()}
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    else:
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return len(columns["key"])


def check_file(path: Path) -> None:
    """Raise ValueError unless a file of this name can be written."""
    known = (*SUFFIXES, *lines.SUFFIXES)
    if not path.name.endswith(known):
        raise ValueError(f"`file` must end in {', '.join(known)}, got {path}; name the format by the suffix.")
    if not path.parent.is_dir():
        raise ValueError(f"`file` must lie in a folder that exists, got {path}; make {path.parent}.")


def _columns(records: list[Record]) -> dict[str, list[Any]]:
    parameters = dict.fromkeys(name for record in records for name in record.parameters)
    origins = dict.fromkeys(name for record in records for name in record.provenance)
    others = {*_CELL, *_MEASURED, *_CALL, *origins}
    names = [
        *_CELL,
        *(f"parameters.{name}" if name in others else name for name in parameters),
        *_MEASURED,
        *_CALL,
        *origins,
    ]
    rows = [
        (
            *(getattr(record, name) for name in _CELL),
            *map(record.parameters.get, parameters),
            *place,
            *(getattr(record, name) for name in _CALL),
            *map(record.provenance.get, origins),
        )
        for record in records
        for place in _places(record)
    ]
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _places(record: Record) -> Iterator[tuple[Any, ...]]:
    """What stands under `_MEASURED`, row by row."""
    if not record.measurements:
        yield (None,) * len(_MEASURED)
    for quantity, estimate, method in record.measurements:
        if isinstance(estimate, Series):
            for at, value, sem in zip(
                *map(np.ndarray.tolist, (estimate.at, estimate.value, estimate.sem)), strict=True
            ):
                yield quantity, at, value, sem, estimate.n, method
        else:
            yield quantity, None, *estimate, method


def _of_one_kind(values: list[Any]) -> list[Any]:
    """Numbers, strings or booleans as they are; lists, dicts, and values of several kinds as JSON text."""
    values = [value["function"] if is_function(value) else value for value in values]
    kinds = {type(value) for value in values if value is not None}
    is_small = all(abs(value) < 2**63 for value in values if type(value) is int)
    if is_small and not kinds & {tuple, dict} and (len(kinds) <= 1 or kinds == {int, float}):
        return values
    return [None if value is None else json.dumps(value) for value in values]
