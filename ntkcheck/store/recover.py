"""What can be read of a damaged store, in a new one."""

import shutil
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from ntkcheck.store.connection import connect, log_of
from ntkcheck.store.failure import StoreError, translated
from ntkcheck.store.rows import Row
from ntkcheck.store.verify import intact_row
from ntkcheck.store.writing import place

_PAGE_BYTES = 4096
_LEAST_ROW_BYTES = 128  # of the table of cells: key and checksum
_FORMAT_VERSIONS, _SIZE_IN_PAGES = slice(18, 20), slice(28, 32)  # in the header of an SQLite file


class Recovered(NamedTuple):
    """How much was recovered.

    Attributes:
        copied: Records that were read and whose checksum holds.
        lost: Numbers of records that must have been there, being before one that was read, and are not.
    """

    copied: int
    lost: list[int]


def recover(damaged: Path, new: Path) -> Recovered:
    """Copy every record that can be read and whose checksum holds, in their order, to a new store.

    The damaged file is read twice: as it is, and with its first page, where SQLite's header and the names of tables are,
    replaced by that of an empty store, which has its tables in the same places.

    Args:
        damaged: the damaged file; it is not changed.
        new: the store to make.

    Raises:
        StoreError: where there is no damaged file, the new one exists or cannot be written, or nothing can be read.
    """
    if not damaged.is_file():
        raise StoreError(f"{damaged} does not exist; check the path of the damaged store.")
    if new.exists():
        raise StoreError(f"{new} exists already; name a file that does not.")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        readers = [stack.enter_context(closing(_reader(copy))) for copy in _copies(damaged, Path(folder))]
        rows = _rows(
            readers, damaged.stat().st_size + (log_of(damaged).stat().st_size if log_of(damaged).exists() else 0)
        )
        first = next(rows, None)
        if first is None:
            raise StoreError(f"{damaged} has no record that can be read; restore it from a copy.")
        return _copied(first, rows, new)


def _copies(damaged: Path, folder: Path) -> Iterator[Path]:
    as_is, mended = folder / "as_is.db", folder / "mended.db"
    shutil.copyfile(damaged, as_is)
    if log_of(damaged).exists():
        shutil.copyfile(log_of(damaged), log_of(as_is))
    yield as_is
    connect(folder / "empty.db", 0.0).close()
    first_page = bytearray((folder / "empty.db").read_bytes()[:_PAGE_BYTES])
    first_page[_FORMAT_VERSIONS] = b"\x01\x01"  # without a log
    first_page[_SIZE_IN_PAGES] = bytes(4)  # as large as it is
    shutil.copyfile(damaged, mended)
    with mended.open("r+b") as file:
        file.write(first_page)
    yield mended


def _reader(copy: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(copy, isolation_level=None)
    connection.execute(
        "PRAGMA writable_schema = ON"
    )  # or SQLite would not read a file that is shorter than it should be
    return connection


def _rows(readers: list[sqlite3.Connection], size: int) -> Iterator[tuple[int, Row]]:
    """Numbers and rows of the intact cells; every number that a file of this size can hold is tried, as indices may be gone."""
    contents = _contents(readers)
    for id in range(1, size // _LEAST_ROW_BYTES + 1):
        found = (row for row in (_readable(reader, id, contents) for reader in readers) if row)
        if row := next(found, None):
            yield id, row


def _readable(reader: sqlite3.Connection, id: int, contents: dict[int, list[str]]) -> Row | None:
    try:
        return intact_row(reader, id, contents)
    except (sqlite3.Error, UnicodeError, TypeError):
        return None


def _contents(readers: list[sqlite3.Connection]) -> dict[int, list[str]]:
    """Provenances from their table and from its index, which holds them too."""
    found: dict[int, list[str]] = defaultdict(list)
    for reader in readers:
        for order in ("id", "content"):
            try:
                for id, content in reader.execute(f"SELECT id, content FROM provenance ORDER BY {order}"):
                    found[id].append(content)
            except sqlite3.Error:  # those before it are kept
                continue
    return found


def _copied(first: tuple[int, Row], rows: Iterator[tuple[int, Row]], new: Path) -> Recovered:
    copied, lost, last = 0, [], 0
    with translated(new), closing(connect(new, 60.0)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for id, row in (first, *rows):
            place(connection, row, always=True)
            copied, lost, last = copied + 1, [*lost, *range(last + 1, id)], id
        connection.execute("COMMIT")
    return Recovered(copied, lost)
