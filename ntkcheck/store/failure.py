"""What can go wrong with the file of a store, as one sentence with a remedy."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StoreError(Exception):
    """The store cannot do what was asked: the message says why, and what to do."""


_LOCKED = "is locked by another process (waited {timeout:g} s); wait until that is done, or stop it."
_FORBIDDEN = (
    "cannot be written ({error}); check the permissions of the file and of its folder, or open it to read only."
)
_FULL = "cannot be written: the disk is full; free some space and run again, what was added before is kept."
_UNREADABLE = (
    "cannot be read or written ({error}); check the disk (space, quota, health) and run again: "
    "what was added before is kept."
)
_DAMAGED = "is damaged ({error}); copy what can be read by `python -m ntkcheck.store recover {path} NEW`."
_CLOSED = "cannot be used any more ({error}); open it again."
_SENTENCES = {  # by SQLite's primary result code
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_PERM: _FORBIDDEN,
    sqlite3.SQLITE_READONLY: _FORBIDDEN,
    sqlite3.SQLITE_CANTOPEN: _FORBIDDEN,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: _UNREADABLE,
}


@contextmanager
def translated(path: Path, timeout: float = 0.0) -> Iterator[None]:
    """SQLite's exceptions as `StoreError`.

    Whatever is not about access is damage: every statement is fixed, so that a correct file gives no other error.
    """
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise StoreError(f"{path} " + _CLOSED.format(error=error)) from error
    except sqlite3.Error as error:
        sentence = _SENTENCES.get(primary_code(error), _DAMAGED)
        raise StoreError(f"{path} " + sentence.format(error=error, timeout=timeout, path=path)) from error


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code of an exception; 0 where Python's module raised it by itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def damaged(path: Path, reason: object) -> StoreError:
    """The error to raise where the content of a file is not what a store writes."""
    return StoreError(f"{path} " + _DAMAGED.format(error=reason, path=path))
