"""What a store holds, in forms that can be compared, and whether the file is sound."""

import sqlite3
from contextlib import closing
from pathlib import Path

from ntkcheck.measurement import Series
from ntkcheck.store import Record, Store
from ntkcheck.store.verify import problems


def numbers(record: Record) -> tuple:
    """Everything that must be the same on another run: not when, not how long."""
    return (
        record.function,
        tuple(sorted(record.parameters.items())),
        record.seed,
        record.failure,
        tuple((item.quantity, _bits(item.estimate), item.method) for item in record.measurements),
    )


def table(path: Path) -> set[tuple]:
    with Store(path) as store:
        return {numbers(record) for record in store.records()}


def made(path: Path) -> dict[str, tuple]:
    """When, where and how each stored cell was measured: what changes if it is measured again."""
    with Store(path) as store:
        return {
            record.key: (record.started, record.seconds, tuple(sorted(record.provenance.items())))
            for record in store.records()
        }


def rows(path: Path) -> int:
    """Cells with their former versions."""
    with Store(path) as store:
        return sum(1 for _ in store.records(superseded=True))


def is_sound(path: Path) -> bool:
    """SQLite finds the file in order, and every record has the checksum with which it was written."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)] and not list(problems(path))


def _bits(estimate) -> tuple:
    if isinstance(estimate, Series):
        return estimate.value.tobytes(), estimate.sem.tobytes(), estimate.n, estimate.at.tobytes()
    return estimate.value.hex(), estimate.sem.hex(), estimate.n
