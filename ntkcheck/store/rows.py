"""Records as rows, and rows as records."""

import functools
import hashlib
import io
import json
from typing import Any, NamedTuple

import numpy as np

from ntkcheck.measurement import Measurement, Series
from ntkcheck.stats import Estimate
from ntkcheck.store.record import Record

CELL_COLUMNS = "id, function, parameters, failure, seed, started, seconds, provenance"
MEASUREMENT_COLUMNS = "cell, quantity, value, sem, n, at, method"
_MAGIC = b"\x93NUMPY\x01\x00"  # of .npy files with a header of less than 64 KiB


class Row(NamedTuple):
    """A record in the form in which it is kept.

    Attributes:
        key: Of the cell.
        cell: function, parameters, failure, seed, started, seconds.
        provenance: As JSON text.
        measurements: Of each quantity, value, sem, n, at, method.
    """

    key: str
    cell: tuple[Any, ...]
    provenance: str
    measurements: tuple[tuple[Any, ...], ...]

    @property
    def checksum(self) -> str:
        """SHA-256 of everything in it."""
        return hashlib.sha256(json.dumps(self, default=bytes.hex).encode()).hexdigest()


def encode(record: Record) -> Row:
    """A record as a row."""
    failure = (
        record.failure and record.failure.encode(errors="backslashreplace").decode()
    )  # names of files may be any bytes
    parameters = json.dumps(record.parameters, separators=(",", ":"))
    return Row(
        record.key,
        (record.function, parameters, failure, int(record.seed), record.started, float(record.seconds)),
        json.dumps(record.provenance, sort_keys=True),
        tuple(map(encode_measurement, record.measurements)),
    )


def decode(cell: tuple[Any, ...], provenance: dict[str, str], measurements: list[tuple[Any, ...]]) -> Record:
    """The record of `CELL_COLUMNS` after the id, its provenance, and the `MEASUREMENT_COLUMNS` after the cell."""
    function, parameters, failure, seed, started, seconds, _ = cell
    found = tuple([_decode_measurement(*each) for each in measurements])
    return Record(function, json.loads(parameters), found, failure, seed, started, seconds, provenance)


def encode_measurement(measurement: Measurement) -> tuple[Any, ...]:
    """Quantity, value, sem, n, at, method; equal exactly where two measurements agree in every bit."""
    quantity, estimate, method = measurement
    if isinstance(estimate, Series):
        value, sem, at = (_encode_array(quantity, array) for array in (estimate.value, estimate.sem, estimate.at))
    else:
        value, sem, at = _encode_number(estimate.value), _encode_number(estimate.sem), None
    return (quantity, value, sem, int(estimate.n), at, method)


def _decode_measurement(quantity: str, value: Any, sem: Any, n: int, at: bytes | None, method: str) -> Measurement:
    if at is None:
        return Measurement(quantity, Estimate(float(value), float(sem), n), method)
    return Measurement(quantity, Series(_decode_array(value), _decode_array(sem), n, _decode_array(at)), method)


def _encode_number(value: float) -> float | str:
    """A number; the two that SQLite does not give back as they were, NaN and negative zero, as text."""
    value = float(value)
    return str(value) if str(value) in ("nan", "-0.0") else value


def _encode_array(quantity: str, array: np.ndarray) -> bytes:
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"`measurements` must hold numbers, got an array of {array.dtype} in {quantity!r}; use its real numbers."
        )
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
    return file.getvalue()


def _decode_array(content: bytes) -> np.ndarray:
    """The array of a .npy file; read-only, as records are."""
    end = len(_MAGIC) + 2 + int.from_bytes(content[len(_MAGIC) : len(_MAGIC) + 2], "little")
    dtype, is_fortran, shape = _header(content[:end])
    return np.frombuffer(content, dtype, offset=end).reshape(shape, order="F" if is_fortran else "C")


@functools.lru_cache(maxsize=256)
def _header(content: bytes) -> tuple[np.dtype, bool, tuple[int, ...]]:
    try:
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(io.BytesIO(content[len(_MAGIC) :]))
    except Exception as error:  # of many kinds: NumPy parses the header as Python
        raise ValueError(f"an array has no header of the .npy form ({type(error).__name__})") from error
    return dtype, is_fortran, shape
