"""One cell: the call of a measure function, timed, with its failure as data and the provenance of where it ran."""

import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from jaxtyping import Array

from ntkcheck.measurement import Measurement, Series
from ntkcheck.stats import Estimate
from ntkcheck.store import Record, Store, key_of, provenance, reference, seed_of
from ntkcheck.store.parameters import canonical, random_key, revived

Measure = Callable[..., list[Measurement]]
INSTALLED = ("site-packages", "dist-packages", "<")  # of files where a measure function's own mistake does not lie


def measure_cell(function: Measure, parameters: Mapping[str, Any]) -> Record:
    """The record of `function(key, **parameters)`, measured here and now; a failure is recorded, not raised.

    The random key is `random_key(seed)`, with the seed derived from the function's name and its parameters: neither
    the order of cells nor the process that measures one changes its numbers. Parameters are passed as a store keeps them:
    NumPy's scalars as Python's, lists as tuples.

    Args:
        function: a function of a module, `measure(key, **parameters) -> list[Measurement]`.
        parameters: what to call it with: numbers, strings, None, lists, dicts, functions of modules.

    Returns:
        The record, with what was measured, or with the reason why nothing was: the exception and where it was raised.

    Raises:
        ValueError: for a function that cannot be found again by name, or parameters that cannot be stored.
    """
    name, kept = reference(function), canonical(parameters)
    arguments = revived(kept)
    return recorded(name, kept, lambda key: function(key, **arguments))


def recorded(name: str, parameters: Mapping[str, Any], measure: Callable[[Array], list[Measurement]]) -> Record:
    """The record of what `measure` finds, under the name of a function and its parameters.

    Args:
        name: reference of the function whose code makes the numbers.
        parameters: all that they depend on.
        measure: called with the cell's random key.

    Raises:
        ValueError: for parameters that cannot be stored.
    """
    kept = canonical(parameters)
    seed, origin = seed_of(key_of(name, kept)), provenance(name)
    started, clock = _now(), time.perf_counter()
    try:
        measurements, failure = _checked(measure(random_key(seed))), None
    except (Exception, SystemExit) as error:
        measurements, failure = (), _describe(error)
    return Record(name, kept, measurements, failure, seed, started, time.perf_counter() - clock, origin)


def unmeasured(name: str, parameters: Mapping[str, Any], error: BaseException) -> Record:
    """The record of a cell, of the function of that reference, of which every process died that measured it.

    What the process would have told of itself is not known: the provenance is that of the calling process.
    """
    failure = (
        f"{type(error).__name__}: the process died every time, at last with nothing else in flight; "
        "out of memory, or a crash in compiled code."
    )
    return Record(name, dict(parameters), (), failure, seed_of(key_of(name, parameters)), _now(), 0.0, provenance(name))


def obtain(store: Store, function: Measure, parameters: Mapping[str, Any]) -> Record:
    """The record of a cell from the store, where it was measured before with success; else measured now and added.

    Args:
        store: where the record is, or goes.
        function: as for `measure_cell`.
        parameters: as for `measure_cell`.

    Raises:
        ValueError: as `measure_cell`.
        StoreError: where the store cannot be read or written.
    """
    found = store.find(key_of(reference(function), parameters))
    if found is not None and found.failure is None:
        return found
    (current,) = store.add(measure_cell(function, parameters))
    return current


def _describe(error: BaseException) -> str:
    """An exception as a line of data: its type, its message, and the line of the measuring code that it came through."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is `measure_cell`
    own = [frame for frame in frames if not any(part in frame.filename for part in INSTALLED)]
    place = f" (at {own[-1].filename}:{own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {error}{place}"


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _checked(result: object) -> tuple[Measurement, ...]:
    """What a measure function returned, as measurements of Python's and NumPy's numbers."""
    if not isinstance(result, list | tuple) or not all(isinstance(item, Measurement) for item in result):
        raise TypeError(f"a measure function must return a list of Measurements, got {result!r:.200}")
    names = [item.quantity for item in result]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"a measure function must return at least one quantity, and each once, got {names}")
    return tuple(Measurement(str(item.quantity), _numbers(item.estimate), str(item.method)) for item in result)


def _numbers(estimate: object) -> Estimate | Series:
    if isinstance(estimate, Estimate):
        return Estimate(float(estimate.value), float(estimate.sem), int(estimate.n))
    if not isinstance(estimate, Series):
        raise TypeError(f"a Measurement must hold an Estimate or a Series, got {estimate!r:.200}")
    value, sem, at = map(_reals, (estimate.value, estimate.sem, estimate.at))
    if not value.shape == sem.shape == at.shape:
        raise ValueError(
            f"a Series must have an error and a place for every value, got shapes {value.shape}, {sem.shape} and {at.shape}"
        )
    return Series(value, sem, int(estimate.n), at)


def _reals(values: object) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a Series must hold real numbers, got an array of {array.dtype}")
    return array.astype(float)
