"""Opening the file of a store: what it has to be, and what is said where it is not."""

import os
import sqlite3
import time
from pathlib import Path

from ntkcheck.store import schema
from ntkcheck.store.failure import StoreError, damaged, primary_code, translated

HEADER = b"SQLite format 3\x00"
_HEADER_BYTES, _PAGE_SIZE = 100, slice(16, 18)
_RETRY_SECONDS = 0.05


def connect(path: Path, timeout: float) -> sqlite3.Connection:
    """A connection to a store that is there, new or migrated, and that has just been written to.

    Args:
        path: the file; made where there is none.
        timeout: seconds to wait for another process that has locked it.

    Raises:
        StoreError: where it is no store of a known version, is damaged, or cannot be written.
    """
    _check(path, is_there=False)
    with translated(path, timeout):
        connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
        try:
            _patiently(timeout, lambda: _prepare(connection, path))
        except BaseException:
            connection.close()
            raise
    return connection


def connect_to_read(path: Path, timeout: float = 60.0) -> sqlite3.Connection:
    """A connection that reads an existing store and cannot change it; the medium may be read-only.

    Args:
        path: the file.
        timeout: seconds to wait for another process that has locked it.

    Raises:
        StoreError: where it is no store of this version, is damaged, or cannot be read.
    """
    _check(path, is_there=True)
    with translated(path, timeout):
        try:
            return _reader(path, timeout, "mode=rw")
        except sqlite3.OperationalError as error:
            # A write-ahead log needs a folder that can be written, unless nothing is written while the file is read.
            if primary_code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or _has_log(path):
                raise
            return _reader(path, timeout, "mode=ro&immutable=1")


def log_of(path: Path) -> Path:
    """SQLite's write-ahead log of a file: what was added and is not yet in the file itself."""
    return path.with_name(f"{path.name}-wal")


def _reader(path: Path, timeout: float, mode: str) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?{mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA query_only = ON")
        version = _version(connection, path)
        if version < len(schema.STEPS):
            what = f"has the older form {version} (this one is {len(schema.STEPS)})" if version else "is empty"
            raise StoreError(f"{path} {what}; open it once for writing, which brings it up to date.")
    except BaseException:
        connection.close()
        raise
    return connection


def _has_log(path: Path) -> bool:
    return log_of(path).is_file() and log_of(path).stat().st_size > 0


def _check(path: Path, is_there: bool) -> None:
    """Refuse what SQLite would report in words of its own."""
    if not path.parent.is_dir():
        raise StoreError(f"{path} cannot be made: {path.parent} is no folder; make the folder, or check the path.")
    if path.is_dir():
        raise StoreError(f"{path} is a folder; name a file in it, such as {path / 'ntkcheck.db'}.")
    if not path.exists():
        if is_there:
            raise StoreError(f"{path} does not exist; check the path, or measure something first.")
        return
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({os.strerror(error.errno or 0)}); check its permissions.") from error
    if header and not header.startswith(HEADER):
        raise StoreError(
            f"{path} is not a store: it does not begin as SQLite files do; name another file, or, where it was a store and is "
            f"damaged, copy what can be read by `python -m ntkcheck.store recover {path} NEW`."
        )
    page = int.from_bytes(header[_PAGE_SIZE])
    if header and (len(header) < _HEADER_BYTES or path.stat().st_size % max(page, 1)) and not _has_log(path):
        raise damaged(path, "it ends in the middle of a page")  # SQLite would read the rest as zeros


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = schema.version_of(connection)
    if version is None:
        raise StoreError(f"{path} is the SQLite file of another program; name another file.")
    if version > len(schema.STEPS):
        raise StoreError(
            f"{path} was written by a newer ntkcheck (form {version}, this one knows {len(schema.STEPS)}); "
            "update ntkcheck, or name another file."
        )
    if version < 0:
        raise damaged(path, f"its form is {version}")
    return version


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    _version(connection, path)  # before anything is changed in what may be another's file
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        schema.migrate(connection, _version(connection, path))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _patiently(timeout: float, action) -> None:
    """Repeat while the file is locked: SQLite itself does not wait where another process is turning on the log or recovers it."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_RETRY_SECONDS)
