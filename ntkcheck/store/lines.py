"""Records as lines of JSON, each with its checksum: how they travel between machines and stores, and into a repository."""

import gzip
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ntkcheck.measurement import Measurement, Series
from ntkcheck.stats import Estimate
from ntkcheck.store.record import Record

SUFFIXES = (".jsonl", ".jsonl.gz")


def write(records: Iterable[Record], path: Path) -> int:
    """Write records with every digit; the same records give the same bytes.

    Args:
        records: What to write.
        path: A file that ends in .jsonl, or .jsonl.gz for a compressed one.

    Returns:
        The number of records.
    """
    lines = [_line(record) for record in records]
    content = "".join(lines).encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return len(lines)


def read(path: Path) -> list[Record]:
    """The records of a file.

    Raises:
        ValueError: Where there is no such file, it is not one of records, or one of them is no longer what was written.
    """
    if not path.is_file():
        raise ValueError(f"`file` must be a file of records, got {path}; `store export records.jsonl` writes one.")
    content = path.read_bytes()
    try:
        lines = (gzip.decompress(content) if path.suffix == ".gz" else content).decode().splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"`file` must hold records as `store export` writes them, got {path}: {error}.") from None
    return [_record(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]


def _line(record: Record) -> str:
    document = {
        "function": record.function,
        "parameters": record.parameters,
        "measurements": [_measurement(each) for each in record.measurements],
        "failure": record.failure,
        "seed": record.seed,
        "started": record.started,
        "seconds": record.seconds,
        "provenance": record.provenance,
    }
    return _text(document | {"checksum": _checksum(document)}) + "\n"


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _checksum(document: dict[str, Any]) -> str:
    return hashlib.sha256(_text(document).encode()).hexdigest()


def _measurement(measurement: Measurement) -> dict[str, Any]:
    quantity, estimate, method = measurement
    numbers = {name: _plain(number) for name, number in estimate._asdict().items()}
    return {"quantity": quantity, "method": method, **numbers}


def _plain(number: Any) -> Any:
    if isinstance(number, np.ndarray):
        return {"dtype": number.dtype.name, "list": number.tolist()}
    return number.item() if isinstance(number, np.generic) else number


def _record(line: str, where: str) -> Record:
    try:
        document = json.loads(line)
        checksum = document.pop("checksum")
        if checksum != _checksum(document):
            raise ValueError("its checksum does not hold: it was changed, or damaged")
        return Record(**document | {"measurements": tuple(map(_measured, document["measurements"]))})
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"`file` must hold records as `store export` writes them, got {where}: {error}.") from None


def _measured(document: dict[str, Any]) -> Measurement:
    numbers = {name: _revived(document[name]) for name in Series._fields if name in document}
    kind = Series if "at" in numbers else Estimate
    return Measurement(document["quantity"], kind(**numbers), document["method"])


def _revived(number: Any) -> Any:
    return np.array(number["list"], number["dtype"]) if isinstance(number, dict) else number
