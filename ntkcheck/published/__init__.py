"""Records that are shipped with the package, because few have the hardware that they were measured on, or the hours.

Each says on which device, with which versions and from which revision it was measured. They are found by the same keys as those
of a store; the parameter `device` keeps them apart from what is measured elsewhere.
"""

import functools
from pathlib import Path

from ntkcheck.store import Record
from ntkcheck.store.lines import read

FILES = tuple(sorted(Path(__file__).parent.glob("*.jsonl.gz")))


@functools.cache
def records() -> dict[str, Record]:
    """All of them, by key.

    Raises:
        ValueError: Where one is not what was measured.
    """
    return {record.key: record for file in FILES for record in read(file)}


def find(key: str) -> Record | None:
    """The record of a key, where there is one."""
    return records().get(key)
