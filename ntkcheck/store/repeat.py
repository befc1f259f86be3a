"""Measuring a record again, and whether the new numbers are the old ones."""

import inspect
import math
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from ntkcheck.measurement import Measurement, Series
from ntkcheck.stats import Estimate
from ntkcheck.store.functions import resolve
from ntkcheck.store.origin import provenance
from ntkcheck.store.parameters import random_key, revived
from ntkcheck.store.record import Record
from ntkcheck.store.rows import encode_measurement
from ntkcheck.store.store import Store

STANDARD_ERRORS, RELATIVE = 4.0, 1e-6
NOT_NUMBERS = {"revision"}  # of the provenance: what may change without changing numbers


class Repetition(NamedTuple):
    """A record measured again.

    Attributes:
        record: The record.
        holds: Whether the new numbers are the old ones; None where it could not be measured again.
        reason: By which rule, or what differs, or why not.
    """

    record: Record
    holds: bool | None
    reason: str


def repetitions(
    store: Store,
    count: int,
    seed: int = 0,
    at_most: float = math.inf,
    on_start: Callable[[Record], object] = lambda record: None,
) -> Iterator[Repetition]:
    """Measure records again, drawn at random among the successful ones, until `count` were; those that cannot be are told too.

    Args:
        store: where the records are.
        count: how many to measure.
        seed: of the draw.
        at_most: seconds; what took longer when it was measured is left out, and told.
        on_start: called with each record that is about to be tried.
    """
    keys = sorted(store.keys(failed=False))
    random.Random(seed).shuffle(keys)
    for key in keys:
        if count <= 0:
            return
        record = store.find(key)
        if record is None:
            continue
        if record.seconds > at_most:
            yield Repetition(record, None, f"took longer than {at_most:g} s when it was measured")
            continue
        on_start(record)
        repetition = repeat(record)
        count -= repetition.holds is not None
        yield repetition


def repeat(record: Record) -> Repetition:
    """Call a record's function as it was called, with its seed, number format and precision, and compare.

    With the same code, versions and device every bit has to agree; else each value within 4 combined standard errors or
    1e-6 of its size.

    Args:
        record: of a measure function, called with a key and the record's parameters.
    """
    try:
        function, parameters = resolve(record.function), revived(record.parameters)
        inspect.signature(function).bind(None, **parameters)
    except (TypeError, ValueError) as error:
        return Repetition(record, None, f"cannot be measured again from its parameters: {error}")
    if _is_lacking(platform := parameters.get("device")):
        return Repetition(record, None, f"cannot be measured again here: needs a {platform}")
    precision = record.provenance.get("matmul_precision", "default")
    with (
        jax.enable_x64(record.provenance.get("dtype") == "float64"),
        jax.default_matmul_precision(None if precision == "default" else precision),
    ):
        now = provenance(record.function)
        try:
            found = [Measurement(*each) for each in function(random_key(record.seed), **parameters)]
        except Exception as error:
            return Repetition(record, False, f"succeeded, and now raises {type(error).__name__}: {error}")
    changed = sorted(name for name in now.keys() - NOT_NUMBERS if now[name] != record.provenance.get(name))
    return _compared(record, found, changed)


def _is_lacking(platform: Any) -> bool:
    """Whether a measurement asks for a platform by its name, and JAX finds no such device here."""
    try:
        return isinstance(platform, str) and not jax.devices(platform)
    except RuntimeError:
        return True


def _compared(record: Record, found: list[Measurement], changed: list[str]) -> Repetition:
    if [m.quantity for m in found] != [m.quantity for m in record.measurements]:
        return Repetition(record, False, f"has other quantities now: {', '.join(m.quantity for m in found)}")
    agree = _agree if changed else _identical
    rule = (
        f"within {STANDARD_ERRORS:g} combined standard errors or {RELATIVE:g} (changed since: {', '.join(changed)})"
        if changed
        else "bit by bit (same code, versions and device)"
    )
    differing = [
        f"{old.quantity} was {_shown(old)} and is {_shown(new)}"
        for old, new in zip(record.measurements, found, strict=True)
        if not agree(old, new)
    ]
    if differing:
        return Repetition(record, False, f"{'; '.join(differing)}, compared {rule}")
    return Repetition(record, True, f"agrees {rule}")


def _identical(old: Measurement, new: Measurement) -> bool:
    return encode_measurement(old) == encode_measurement(new)


def _agree(old: Measurement, new: Measurement) -> bool:
    a, b = old.estimate, new.estimate
    if not (type(a) is type(b) and np.shape(a.value) == np.shape(b.value) and np.array_equal(_places(a), _places(b))):
        return False
    x, y = np.asarray(a.value, float), np.asarray(b.value, float)
    is_same = (x == y) | (np.isnan(x) & np.isnan(y))
    with np.errstate(invalid="ignore"):  # inf - inf
        noise = STANDARD_ERRORS * np.hypot(a.sem, b.sem)
        is_near = np.abs(x - y) <= np.fmax(noise, RELATIVE * np.abs(x))  # a standard error that is NaN allows nothing
    return bool(np.all(is_same | (is_near & np.isfinite(x) & np.isfinite(y))))


def _places(estimate: Estimate | Series) -> Any:
    return estimate.at if isinstance(estimate, Series) else ()


def _shown(measurement: Measurement) -> str:
    estimate = measurement.estimate
    if isinstance(estimate, Series):
        return np.array2string(estimate.value, threshold=4, edgeitems=2, precision=17)
    return f"{float(estimate.value)!r} with standard error {float(estimate.sem):.2g}"
