"""Made-up records, and what they are compared by."""

import math
import struct
from datetime import UTC, datetime

import numpy as np

from ntkcheck.measurement import Measurement, Series
from ntkcheck.stats import Estimate
from ntkcheck.store import Record

FUNCTION = "tests.store.measures:drawn"
PROVENANCE = {"python": "3.11.0", "device": "cpu", "dtype": "float64", "code": "0" * 64}
NUMBER = Measurement("growth", Estimate(1.5, 0.1, 10), "10 networks")
CURVE = Measurement(
    "correlation", Series(np.array([1.0, math.nan]), np.array([0.0, math.inf]), 4, np.array([1, 2])), "4 networks"
)


def record(
    i=0,
    *,
    function=FUNCTION,
    measurements=(NUMBER, CURVE),
    failure=None,
    parameters=None,
    provenance=PROVENANCE,
    **changes,
):
    """A record whose numbers are invented; `i` is its one parameter, unless others are given."""
    fields = {"seed": i, "started": datetime.now(UTC).isoformat(), "seconds": 0.25} | changes
    measurements = () if failure else measurements
    return Record(
        function, {"i": i} if parameters is None else parameters, measurements, failure, provenance=provenance, **fields
    )


def content(record):
    """Everything in a record, in a form that is equal only where every bit and every type is."""
    return (
        *(repr(getattr(record, name)) for name in ("function", "parameters", "failure", "seed", "started", "seconds")),
        sorted(record.provenance.items()),
        [(m.quantity, m.method, type(m.estimate), *map(bits, m.estimate)) for m in record.measurements],
    )


def bits(value):
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    return "nan" if value != value else (type(value), struct.pack("<d", value))
