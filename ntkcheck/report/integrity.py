"""Which records of a store are not as they were written."""

import json
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ntkcheck.store.connection import connect_to_read
from ntkcheck.store.failure import translated
from ntkcheck.store.verify import intact_row


class Altered(NamedTuple):
    """A record whose checksum does not hold: somebody changed it, or the disk did.

    Attributes:
        id: Its number in the store.
        key: Its key, as it is now.
        function: What measured it, as it is now.
        claim: The claim whose check it is the record of, if it is one.
        is_current: Whether it is the one that counts, not a former one.
    """

    id: int
    key: str
    function: str
    claim: str | None
    is_current: bool


def altered(path: Path) -> tuple[Altered, ...]:
    """Every record, current and former, whose checksum does not hold.

    Args:
        path: The store's file.

    Raises:
        StoreError: If it cannot be read.
    """
    with translated(path), closing(connect_to_read(path)) as connection:
        contents = {id: [content] for id, content in connection.execute("SELECT id, content FROM provenance")}
        cells = connection.execute("SELECT id, key, function, parameters, superseded FROM cell ORDER BY id").fetchall()
        return tuple(
            Altered(id, str(key), str(function), _claim(parameters), superseded is None)
            for id, key, function, parameters, superseded in cells
            if intact_row(connection, id, contents) is None
        )


def _claim(parameters: str) -> str | None:
    try:
        return json.loads(parameters).get("claim")
    except (ValueError, AttributeError, TypeError):
        return None
