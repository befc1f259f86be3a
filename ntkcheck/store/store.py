"""The store: records in one SQLite file, current and former."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ntkcheck.store import rows
from ntkcheck.store.connection import connect, connect_to_read
from ntkcheck.store.failure import damaged, translated
from ntkcheck.store.parameters import canonical, text_of
from ntkcheck.store.record import Record
from ntkcheck.store.writing import place

_PAGE = 500  # records that are read at a time


class Store:
    """Measurements in one file: durable when `add` returns, shared by processes and threads, and never lost or made twice.

    Every key has one current record; those whose place it took are kept. Records are ordered by when they were added.

    Args:
        path: the file; made where there is none. Network file systems do not lock reliably: use a local disk.
        timeout: seconds to wait for another process that has locked it.
        read_only: open what exists, on a medium that may be read-only.

    Raises:
        StoreError: where the file is no store, is damaged or locked, or cannot be written; every method raises it too.
    """

    def __init__(self, path: str | Path, *, timeout: float = 60.0, read_only: bool = False):
        self.path = Path(path)
        self.timeout = timeout
        self._lock = threading.RLock()
        self._provenance: dict[int, dict[str, str]] = {}
        self._connection = connect_to_read(self.path, timeout) if read_only else connect(self.path, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        with self._lock:
            self._connection.close()

    def add(self, *records: Record) -> list[Record]:
        """Add records in one transaction, on disk when this returns, and give those that are now current.

        The first record of a key stays, whoever added it, but one that succeeded takes the place of one that failed.
        """
        return self._place(records, always=False)

    def replace(self, *records: Record) -> list[Record]:
        """Like `add`, but these become current in any case; the former ones are kept as superseded."""
        return self._place(records, always=True)

    def find(self, key: str) -> Record | None:
        """The current record of a key."""
        return next(self._read("superseded IS NULL AND key = ?", (key,)), None)

    def keys(self, function: str | None = None, failed: bool | None = None) -> set[str]:
        """Keys of the current records, of one function and of failures or successes only where that is asked."""
        condition, arguments = _condition(function, failed)
        with self._reading() as connection:
            found = connection.execute(f"SELECT key FROM cell WHERE superseded IS NULL{condition}", arguments)
            return {key for (key,) in found}

    def records(
        self,
        function: str | None = None,
        where: Mapping[str, Any] | None = None,
        failed: bool | None = None,
        superseded: bool = False,
        newest_first: bool = False,
    ) -> Iterator[Record]:
        """Records in the order in which they were added, as the store was when this was called.

        Args:
            function: reference of the function that measured.
            where: values that parameters have, compared as keys are: 1 is 1.0.
            failed: True for failures only, False for successes only.
            superseded: the former records too; of one key the current one comes last.
            newest_first: the other way round.

        Raises:
            ValueError: where `where` holds something that no parameter can be.
        """
        wanted = {name: text_of(value) for name, value in canonical(where or {}).items()}
        condition, arguments = _condition(function, failed)
        found = self._pages(condition, arguments, self._last(), superseded, newest_first)
        return (record for record in found if not wanted or _matches(record, wanted))

    def versions(self, prefix: str) -> dict[str, list[Record]]:
        """Every record of the keys that begin with `prefix`, by key; of each the current one comes last."""
        found: dict[str, list[Record]] = {}
        for record in self._read("substr(key, 1, ?) = ?", (len(prefix), prefix)):
            found.setdefault(record.key, []).append(record)
        return found

    def __len__(self) -> int:
        """Number of current records."""
        with self._reading() as connection:
            return connection.execute("SELECT count(*) FROM cell WHERE superseded IS NULL").fetchone()[0]

    def _place(self, records: tuple[Record, ...], always: bool) -> list[Record]:
        encoded = [rows.encode(record) for record in records]
        placed: dict[str, Record] = {}
        with self._writing() as connection:
            for record, row in zip(records, encoded, strict=True):
                if place(connection, row, always):
                    placed[row.key] = record
        current = (placed.get(row.key) or self.find(row.key) for row in encoded)
        return [record for record in current if record]

    def _pages(
        self, condition: str, arguments: tuple[Any, ...], last: int, superseded: bool, newest_first: bool
    ) -> Iterator[Record]:
        """Records up to the one added `last`, page by page, so that nothing is locked or held while the caller works."""
        low, high, order = 0, last, "DESC" if newest_first else "ASC"
        as_of_last = "" if superseded else f" AND (superseded IS NULL OR superseded > {last})"
        while True:
            page = f"id > ? AND id <= ?{as_of_last}{condition} ORDER BY id {order} LIMIT {_PAGE}"
            with self._reading() as connection:
                cells = connection.execute(
                    f"SELECT {rows.CELL_COLUMNS} FROM cell WHERE {page}", (low, high, *arguments)
                )
                found = self._with_measurements(connection, cells.fetchall())
            yield from (self._decoded(*each) for each in found)
            if len(found) < _PAGE:
                return
            low, high = (low, found[-1][0][0] - 1) if newest_first else (found[-1][0][0], high)

    def _read(self, condition: str, arguments: tuple[Any, ...]) -> Iterator[Record]:
        with self._reading() as connection:
            cells = connection.execute(f"SELECT {rows.CELL_COLUMNS} FROM cell WHERE {condition} ORDER BY id", arguments)
            found = self._with_measurements(connection, cells.fetchall())
        return (self._decoded(*each) for each in found)

    def _with_measurements(self, connection: sqlite3.Connection, cells: list[tuple[Any, ...]]):
        """Each cell with its provenance and its measurements."""
        measurements: dict[int, list[tuple[Any, ...]]] = {cell[0]: [] for cell in cells}
        for cell, *measurement in connection.execute(
            f"SELECT {rows.MEASUREMENT_COLUMNS} FROM measurement WHERE cell IN (SELECT value FROM json_each(?)) "
            "ORDER BY cell, position",
            (json.dumps(list(measurements)),),
        ):
            measurements[cell].append(tuple(measurement))
        return [(cell, self._provenance_of(connection, cell[-1]), measurements[cell[0]]) for cell in cells]

    def _provenance_of(self, connection: sqlite3.Connection, id: int) -> dict[str, str]:
        if id not in self._provenance:
            found = connection.execute("SELECT content FROM provenance WHERE id = ?", (id,)).fetchone()
            try:
                self._provenance[id] = json.loads(found[0])
            except (TypeError, ValueError) as error:
                raise damaged(self.path, f"provenance {id}: {error}") from error
        return self._provenance[id]

    def _decoded(
        self, cell: tuple[Any, ...], provenance: dict[str, str], measurements: list[tuple[Any, ...]]
    ) -> Record:
        try:
            return rows.decode(cell[1:], provenance, measurements)
        except (TypeError, ValueError, AttributeError) as error:
            raise damaged(self.path, f"record {cell[0]}: {error}") from error

    def _last(self) -> int:
        with self._reading() as connection:
            return connection.execute("SELECT coalesce(max(id), 0) FROM cell").fetchone()[0]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self.path, self.timeout):
            self._connection.execute(begin)
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def _condition(function: str | None, failed: bool | None) -> tuple[str, tuple[Any, ...]]:
    """Further SQL conditions with their arguments."""
    by_function = "" if function is None else " AND function = ?"
    by_failure = "" if failed is None else f" AND failure IS {'NOT ' if failed else ''}NULL"
    return by_function + by_failure, () if function is None else (function,)


def _matches(record: Record, wanted: dict[str, str]) -> bool:
    parameters = record.parameters
    return all(name in parameters and text_of(parameters[name]) == text for name, text in wanted.items())
