"""Records as tables for a terminal, and as data for programs."""

import json
from collections.abc import Iterator
from textwrap import shorten
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ntkcheck.measurement import Measurement, Series, with_error
from ntkcheck.stats import Estimate
from ntkcheck.store.parameters import is_function
from ntkcheck.store.record import Record

SHORT = 12  # digits of a key that are shown
QUANTITIES = 3  # that a line names
TABLE = 40  # letters of a parameter that is a table of values, in a line


def document(record: Record) -> dict[str, Any]:
    """A record as nested lists and dicts."""
    return {
        "key": record.key,
        "function": record.function,
        "parameters": record.parameters,
        "measurements": [
            {
                "quantity": quantity,
                **{name: _listed(value) for name, value in estimate._asdict().items()},
                "method": method,
            }
            for quantity, estimate, method in record.measurements
        ],
        "failure": record.failure,
        "seed": record.seed,
        "started": record.started,
        "seconds": record.seconds,
        "provenance": record.provenance,
    }


def listing(records: list[Record]) -> RenderableType:
    """One line a record, and below the table what all records of a function have in common."""
    table = Table()
    for column in ("key", "function", "parameters that differ"):
        table.add_column(column, overflow="fold")
    table.add_column("quantities", overflow="fold")
    table.add_column("n", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("started (UTC)")
    shared = _shared(records)
    for record in records:
        differing = {name: value for name, value in record.parameters.items() if name not in shared[record.function]}
        table.add_row(
            record.key[:SHORT],
            Text(record.function),
            Text(_listed_parameters(differing)),
            _found(record),
            ", ".join(str(n) for n in dict.fromkeys(m.estimate.n for m in record.measurements)),
            f"{record.seconds:.3g}",
            record.started[:19].replace("T", " "),
        )
    common = (
        Text(f"{function}: {_listed_parameters(parameters)}") for function, parameters in shared.items() if parameters
    )
    return Group(table, *common)


def _shared(records: list[Record]) -> dict[str, dict[str, Any]]:
    """Parameters with one value in all records of a function, by function; none where there is one record only."""
    by_function: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_function.setdefault(record.function, []).append(record.parameters)
    return {
        function: {
            name: value for name, value in first.items() if rest and all(each.get(name) == value for each in rest)
        }
        for function, (first, *rest) in by_function.items()
    }


def _found(record: Record) -> Text:
    if record.failure is not None:
        return Text(f"failed: {record.failure}", style="red")
    names = [m.quantity for m in record.measurements]
    return Text(
        ", ".join(names[:QUANTITIES]) + (f" and {len(names) - QUANTITIES} more" if len(names) > QUANTITIES else "")
    )


def _listed_parameters(parameters: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}={_shown(value) if not isinstance(value, dict) else shorten(_shown(value), TABLE, placeholder=' ...')}"
        for name, value in parameters.items()
    )


def detail(versions: list[Record]) -> RenderableType:
    """Everything about the records of one key, the current one first."""
    current, *former = reversed(versions)
    return Group(*_detail(current, "current"), *(part for each in former for part in _detail(each, "superseded")))


def _detail(record: Record, standing: str) -> Iterator[RenderableType]:
    about = Table(title=f"{record.key}, {standing}", show_header=False, title_justify="left")
    about.add_column()
    about.add_column(overflow="fold")
    about.add_row("function", Text(record.function))
    for name, value in record.parameters.items():
        about.add_row(Text(f"  {name}"), Text(_shown(value)))
    about.add_row("seed", str(record.seed))
    about.add_row("started (UTC)", record.started)
    about.add_row("seconds", f"{record.seconds:.6g}")
    for name, value in record.provenance.items():
        about.add_row(Text(name), Text(value))
    yield about
    yield _measurements(record) if record.failure is None else Text(f"failed: {record.failure}", style="red")


def _measurements(record: Record) -> Table:
    table = Table(caption="standard error of the last digits in parentheses; without them: no sampling noise (n = 0)")
    for column in ("quantity", "at", "value", "n", "method"):
        table.add_column(column, overflow="fold")
    for measurement in record.measurements:
        for at, estimate in _places(measurement):
            method = Text(measurement.method)
            table.add_row(Text(measurement.quantity), at, with_error(estimate), str(estimate.n), method)
    return table


def _places(measurement: Measurement) -> Iterator[tuple[str, Estimate]]:
    estimate = measurement.estimate
    if not isinstance(estimate, Series):
        yield "", estimate
        return
    for at, value, sem in zip(estimate.at, estimate.value, estimate.sem, strict=True):
        yield f"{at:g}", Estimate(float(value), float(sem), estimate.n)


def _listed(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _shown(value: Any) -> str:
    """A parameter: a function by its reference, lists and dicts as JSON text."""
    if is_function(value):
        return value["function"]
    return json.dumps(value) if isinstance(value, tuple | dict) else str(value)
