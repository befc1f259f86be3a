"""Stored measurements as flat rows for the page on which they are explored: regime cells, and SND."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ntkcheck.disturbance.prediction import EXACT, FIRST_ORDER
from ntkcheck.measurement import Series, summarize
from ntkcheck.regime.cells import normalizer_regime
from ntkcheck.report import full_size
from ntkcheck.report.digits import rounded
from ntkcheck.stats import Estimate
from ntkcheck.store import Record, Store, reference

Row = dict[str, Any]

MOST_CURVES = 40  # cells whose curves are on the page, the newest; each takes about 40 kB
MOST_CELLS = 1000  # rows of the other tables; each takes up to 1.5 kB in all charts
ALWAYS = ("data", "activation", "depth", "width", "batch_size", "sigma_w", "sigma_b")  # what every run is called by
NOT_OF_A_RUN = ("normalizer", "side", "inputs", "source")
OF_SND = ("batch_size", "features", "group_size", "iterations", "condition", "neurons")
SND = "snd"
LAWS = (EXACT, FIRST_ORDER)  # the better one first


class Tables(NamedTuple):
    """What can be explored.

    Attributes:
        regime: One row a regime cell: normaliser, width, run, and every number with its standard error.
        curves: One row a place: normaliser, width, run, quantity, depth, value and one standard error to either side.
        snd: One row a measurement of SND.
        left_out: What is in the store and not here, and why, in a sentence each.
        full_size: One row a place of a full-size model, shipped ones too.
    """

    regime: list[Row]
    curves: list[Row]
    snd: list[Row]
    left_out: tuple[str, ...]
    full_size: Sequence[Row] = ()


def tables(store: Store, altered: Collection[str] = ()) -> Tables:
    """The store's current measurements that succeeded.

    Args:
        store: Open.
        altered: Keys of records that are not as they were written; these are left out.
    """
    cells, curves = _newest(_intact(store, altered, reference(normalizer_regime)), MOST_CELLS)
    disturbances, snd_lost = _newest((r for r in _intact(store, altered) if r.find(SND)), MOST_CELLS)
    runs = run_names([cell.parameters for cell in cells])
    drawn, curves_lost = _newest((cell for cell in cells if any(_curves(cell, ""))), MOST_CURVES)
    lost = {"regime cells": curves, "curves through depth": curves_lost, "measurements of SND": snd_lost}
    notes = [
        f"the {count} oldest {what} are not on this page, which would grow too large"
        for what, count in lost.items()
        if count
    ]
    if altered:
        notes.append(f"{len(altered)} records that are not as they were written are not on this page")
    names = dict(zip((cell.key for cell in cells), runs, strict=True))
    return Tables(
        _sorted(_numbers(cell, names[cell.key]) for cell in cells),
        _sorted(row for cell in drawn for row in _curves(cell, names[cell.key])),
        _sorted(map(_disturbance, disturbances)),
        tuple(notes),
        full_size.rows(store, altered),
    )


def run_names(parameters: list[Mapping[str, Any]]) -> list[str]:
    """What each run is called: data, activation and sizes, and whatever else differs between runs.

    Args:
        parameters: Of regime cells.
    """
    names = dict.fromkeys(name for each in parameters for name in each if name not in NOT_OF_A_RUN)
    values = {name: {repr(each.get(name)) for each in parameters} for name in names}
    shown = [name for name in names if name in ALWAYS or len(values[name]) > 1]
    return [", ".join(f"{name} {_words(each.get(name))}" for name in shown) for each in parameters]


def _intact(store: Store, altered: Collection[str], function: str | None = None) -> Iterator[Record]:
    for key in sorted(store.keys(function, failed=False) - set(altered)):
        if record := store.find(key):
            yield record


def _newest(records: Iterable[Record], most: int) -> tuple[list[Record], int]:
    """The newest records, and how many others there are."""
    ordered = sorted(records, key=lambda record: (record.started, record.key), reverse=True)
    return ordered[:most], max(0, len(ordered) - most)


def _numbers(cell: Record, run: str) -> Row:
    row = _called(cell, run) | {name: cell.parameters.get(name) for name in ("sigma_w", "sigma_b")}
    for quantity, estimate, _ in cell.measurements:
        if isinstance(estimate, Estimate):
            row |= {quantity: rounded(estimate.value), f"{quantity}_sem": rounded(estimate.sem)}
    return row


def _curves(cell: Record, run: str) -> Iterator[Row]:
    for quantity, estimate, _ in cell.measurements:
        if isinstance(estimate, Series):
            for at, value, sem in zip(estimate.at, estimate.value, estimate.sem, strict=True):
                ends = {"value": rounded(value), "low": rounded(value - sem), "high": rounded(value + sem)}
                yield _called(cell, run) | {"quantity": quantity, "depth": int(at)} | ends


def _called(cell: Record, run: str) -> Row:
    return {"normalizer": _words(cell.parameters["normalizer"]), "width": cell.parameters["side"], "run": run}


def _disturbance(record: Record) -> Row:
    """SND with one standard error to either side, and its law; of independent sets the mean, with the error of their scatter."""
    found = record.find(SND)
    assert found is not None
    value, sem, n = (
        summarize(np.asarray(found.value)) if isinstance(found, Series) and len(found.value) > 1 else found[:3]
    )
    value, sem = float(np.squeeze(value)), float(np.squeeze(sem))
    sizes = {name: size for name in OF_SND if (size := record.parameters.get(name)) is not None}
    name = record.parameters.get("normalizer", record.function.rpartition(":")[2])
    ends = {"snd": rounded(value), "low": rounded(value - sem), "high": rounded(value + sem), "samples": int(n)}
    law = next((rounded(found.value) for law in LAWS if isinstance(found := record.find(law), Estimate)), None)
    called = {"normalizer": _words(name), "population": _words(record.parameters.get("population", "of a claim"))}
    return called | sizes | ends | {"law": law, "record": record.key[:12]}


def _words(value: Any) -> str:
    """A parameter in a few letters: of a function or of a file's function the name."""
    if isinstance(value, dict) and "function" in value:
        value = value["function"]
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).rpartition(":")[2].rpartition("/")[2]


def _sorted(rows: Iterable[Row]) -> list[Row]:
    def order(row: Row) -> tuple[Any, ...]:
        names = tuple(str(row.get(name, "")) for name in ("run", "population", "normalizer", "width", "quantity"))
        return (*names, *(row.get(name, 0) for name in ("depth", *OF_SND)), row.get("record", ""))

    return sorted(rows, key=order)
