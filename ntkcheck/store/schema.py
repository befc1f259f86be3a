"""The form of the file, its versions, and the steps from each version to the next."""

import sqlite3

APPLICATION_ID = int.from_bytes(b"NTKc")

# STEPS[v] takes a file from version v to v + 1; version 0 is an empty file. A published step is never edited.
STEPS: list[tuple[str, ...]] = [
    (
        "CREATE TABLE provenance (id INTEGER PRIMARY KEY, content TEXT NOT NULL UNIQUE)",
        # `id` is the order of adding, without gaps; `superseded` is the id of the cell that took this one's place.
        """CREATE TABLE cell (
            id INTEGER PRIMARY KEY, key TEXT NOT NULL, function TEXT NOT NULL, parameters TEXT NOT NULL, failure TEXT,
            seed INTEGER NOT NULL, started TEXT NOT NULL, seconds REAL NOT NULL,
            provenance INTEGER NOT NULL REFERENCES provenance (id), checksum TEXT NOT NULL,
            superseded INTEGER REFERENCES cell (id)
        )""",
        # value, sem and at have no type: numbers, the texts nan and -0.0 (SQLite has no such numbers), or .npy bytes.
        """CREATE TABLE measurement (
            cell INTEGER NOT NULL REFERENCES cell (id), position INTEGER NOT NULL, quantity TEXT NOT NULL,
            value NOT NULL, sem NOT NULL, n INTEGER NOT NULL, at, method TEXT NOT NULL, PRIMARY KEY (cell, position)
        ) WITHOUT ROWID""",
        "CREATE UNIQUE INDEX current ON cell (key) WHERE superseded IS NULL",
        "CREATE INDEX cell_of_function ON cell (function, id)",
    ),
]


def version_of(connection: sqlite3.Connection) -> int | None:
    """The file's version, 0 where it is empty, or None where another program wrote it."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == APPLICATION_ID:
        return version
    return None if application or version or tables else 0


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Take a file from `version` to the newest, inside the caller's transaction; writes even where nothing is to be done."""
    for step in STEPS[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(STEPS)}")
