"""Whether a file still holds what was written: structure, order, and the checksum of every record."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from ntkcheck.store.connection import connect_to_read
from ntkcheck.store.rows import Row

_BROKEN_CHAIN = """SELECT id FROM cell AS former WHERE superseded IS NOT NULL AND NOT EXISTS
    (SELECT 1 FROM cell WHERE cell.id = former.superseded AND cell.key = former.key AND cell.id > former.id)"""
_ORPHANS = "SELECT DISTINCT cell FROM measurement WHERE cell NOT IN (SELECT id FROM cell)"
_GAPS = "SELECT id FROM cell WHERE id > 1 AND id - 1 NOT IN (SELECT id FROM cell)"


def problems(path: Path) -> Iterator[str]:
    """What in a store is not as it was written, in a sentence each; nothing where all is well.

    Args:
        path: the store's file.

    Raises:
        StoreError: where it cannot be opened.
    """
    with closing(connect_to_read(path)) as connection:
        try:
            connection.execute("BEGIN")  # one state of the file, though others may be adding to it
            yield from _of_structure(connection)
            contents = {id: [content] for id, content in connection.execute("SELECT id, content FROM provenance")}
            for (id,) in connection.execute("SELECT id FROM cell ORDER BY id"):
                if intact_row(connection, id, contents) is None:
                    yield _named(connection, id)
        except sqlite3.Error as error:
            yield f"the file cannot be read further: {error}"


def intact_row(connection: sqlite3.Connection, id: int, contents: Mapping[int, list[str]]) -> Row | None:
    """The row of a cell, where there is one and its checksum holds.

    Args:
        connection: to read from.
        id: of the cell.
        contents: what may be the content of each provenance.

    Raises:
        sqlite3.Error: where it cannot be read.
    """
    columns = "key, function, parameters, failure, seed, started, seconds, provenance, checksum"
    cell = connection.execute(f"SELECT {columns} FROM cell WHERE id = ?", (id,)).fetchone()
    if cell is None:
        return None
    key, *own, provenance, checksum = cell
    query = "SELECT quantity, value, sem, n, at, method FROM measurement WHERE cell = ? ORDER BY position"
    measurements = tuple(connection.execute(query, (id,)))
    rows = (Row(key, tuple(own), content, measurements) for content in contents.get(provenance, ()))
    return next((row for row in rows if row.checksum == checksum), None)


def _of_structure(connection: sqlite3.Connection) -> Iterator[str]:
    for (found,) in connection.execute("PRAGMA integrity_check"):
        if found != "ok":
            yield f"the file is damaged: {found}"
    for query, sentence in (
        (_GAPS, "records before number {id} are gone"),
        (_ORPHANS, "measurements of record {id} are left, which itself is gone"),
        (_BROKEN_CHAIN, "record {id} is marked as superseded by one that is not its successor"),
    ):
        for (id,) in connection.execute(query):
            yield sentence.format(id=id)


def _named(connection: sqlite3.Connection, id: int) -> str:
    try:
        function, parameters = connection.execute(
            "SELECT function, parameters FROM cell WHERE id = ?", (id,)
        ).fetchone()
        quantities = connection.execute(
            "SELECT quantity FROM measurement WHERE cell = ? ORDER BY position", (id,)
        ).fetchall()
    except sqlite3.Error as error:
        return f"record {id} cannot be read: {error}"
    of = ", ".join(str(quantity) for (quantity,) in quantities) or "none"
    return f"record {id} is not as it was written: {function} at {parameters}, quantities: {of}"
