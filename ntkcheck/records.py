"""The records of a run by cell: those that a store has, their numbers and series, and what every document says of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from ntkcheck.measurement import Series, confidence_interval
from ntkcheck.stats import Estimate
from ntkcheck.store import Record, Store, key_of, reference
from ntkcheck.table import RECORD_DIGITS

LEVEL = 0.95  # of the intervals in documents

C = TypeVar("C")
E = TypeVar("E", Estimate, Series)


class Row(NamedTuple, Generic[C, E]):
    """One number or series of a run: the cell that it is of, and the record that it comes from."""

    cell: C
    quantity: str
    estimate: E
    method: str
    record: Record


def stored(store: Store, function: Callable[..., Any], cells: Mapping[C, Mapping[str, Any]]) -> dict[C, Record]:
    """What a store has of the cells with these parameters, which one function measures; nothing is measured."""
    name = reference(function)
    return {cell: record for cell, values in cells.items() if (record := store.find(key_of(name, values)))}


def failures(records: Mapping[C, Record]) -> dict[C, str]:
    """Why cells have no numbers."""
    return {cell: record.failure for cell, record in records.items() if record.failure}


def rows(records: Iterable[tuple[C, Record]], kind: type[E]) -> Iterator[Row[C, E]]:
    """Every number (`Estimate`) or every series (`Series`), cell by cell."""
    for cell, record in records:
        for quantity, estimate, method in record.measurements:
            if isinstance(estimate, kind):
                yield Row(cell, quantity, estimate, method, record)


def with_interval(estimate: Estimate) -> dict[str, Any]:
    """A number and the ends of its interval, as columns of a table."""
    return estimate._asdict() | confidence_interval(estimate, LEVEL)._asdict()


def flat(estimate: Estimate, method: str, record: Record) -> dict[str, Any]:
    """The columns that all tables of numbers end with; `record` is what `ntkcheck store show` takes."""
    return {**with_interval(estimate), "method": method, "record": record.key[:RECORD_DIGITS]}


def provenances(records: Iterable[Record]) -> list[dict[str, str]]:
    """Where numbers come from; one entry where all come from the same code, versions and device."""
    found: list[dict[str, str]] = []
    for record in records:
        if record.provenance not in found:
            found.append(record.provenance)
    return found


def account(records: Mapping[str, Record]) -> dict[str, Any]:
    """What every document ends with: failures, provenance and times, by the names of cells."""
    return {
        "failures": failures(records),
        "provenance": provenances(records.values()),
        "times": {
            "seconds": {cell: round(record.seconds, 3) for cell, record in records.items()},
            "started": {cell: record.started for cell, record in records.items()},
        },
    }
