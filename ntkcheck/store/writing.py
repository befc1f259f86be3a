"""Writing a row, inside the caller's transaction."""

import sqlite3

from ntkcheck.store.rows import Row


def place(connection: sqlite3.Connection, row: Row, always: bool) -> bool:
    """Make a row the current one of its key, and the former one, if any, superseded; False where the former one stays.

    Args:
        connection: in a transaction that writes.
        row: what to add.
        always: also where the former one did not fail, or this one did.
    """
    former = connection.execute(
        "SELECT id, failure FROM cell WHERE key = ? AND superseded IS NULL", (row.key,)
    ).fetchone()
    failure = row.cell[2]
    if former and not always and (former[1] is None or failure is not None):
        return False
    (id,) = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM cell").fetchone()
    if former:
        connection.execute("UPDATE cell SET superseded = ? WHERE id = ?", (id, former[0]))
    cell = (id, row.key, *row.cell, _provenance(connection, row.provenance), row.checksum)
    connection.execute(f"INSERT INTO cell VALUES ({', '.join('?' * len(cell))}, NULL)", cell)
    connection.executemany(
        "INSERT INTO measurement VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(id, position, *measurement) for position, measurement in enumerate(row.measurements)],
    )
    return True


def _provenance(connection: sqlite3.Connection, content: str) -> int:
    connection.execute("INSERT OR IGNORE INTO provenance (content) VALUES (?)", (content,))
    return connection.execute("SELECT id FROM provenance WHERE content = ?", (content,)).fetchone()[0]
