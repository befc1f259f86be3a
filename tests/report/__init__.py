"""A made-up paper with one claim of every verdict, and a store in which it was checked."""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np

from ntkcheck import claims
from ntkcheck.claims import Evidence
from ntkcheck.measurement import FINITE, INFINITE, Measurement, Series
from ntkcheck.regime import Settings, prepare
from ntkcheck.regime.cells import normalizer_regime
from ntkcheck.stats import Estimate
from ntkcheck.store import Record, Store, provenance, reference

OWN = Path(__file__).parent / "own" / "made_up.toml"
VERDICTS = {
    "UP-1": "supported",
    "UP-2": "refuted",
    "UP-3": "qualified",
    "UP-4": "inconclusive",
    "UP-5": "untested",
    "UP/6 <b>": "supported",
}
STARTED = "2020-01-01T00:00:00+00:00"


def make_store(path: Path) -> None:
    """A store with the checks of `OWN`, regime cells and SND, whose numbers are invented."""
    experiment = prepare(Settings(normalizers=("none", "batch_norm")))
    with Store(path) as store:
        store.add(*(regime_cell(experiment, name, side) for name in experiment.networks for side in (INFINITE, FINITE)))
        store.add(*(snd_record(m) for m in (8, 16, 32)))
        evidence = Evidence(store, prepare(Settings()))
        own = {id: claim for id, claim in claims.load([OWN]).items() if id in VERDICTS}
        claims.check(own, evidence, threads=1)


def regime_cell(experiment, name, side, **parameters):
    noise = (0.01, 10) if side == FINITE else (0.0, 0)
    depth = np.arange(1.0, 6.0)
    curve = Series(1 / depth, np.full(5, noise[0]), noise[1], depth)
    numbers = [
        Measurement(quantity, Estimate(1.2, *noise), "made up") for quantity in ("correlation_slope", "gradient_growth")
    ]
    curves = [Measurement(f"{what}_through_depth", curve, "made up") for what in ("correlation", "gradient")]
    return record(reference(normalizer_regime), {**experiment.cell(name, side), **parameters}, [*numbers, *curves])


def snd_record(batch_size, value=None):
    sets = Series(np.array([1.0, 1.2, 1.1]) / batch_size**0.5, np.full(3, 0.01), 3, np.arange(3.0))
    law = Measurement("law_first_order", Estimate(1.1 / batch_size**0.5, 0.0, 0), "made up")
    found = [Measurement("snd", sets if value is None else value, "made up"), law]
    return record(
        "tests.report:snd_record", {"normalizer": "batch_norm", "batch_size": batch_size, "features": 32}, found
    )


def record(function, parameters, measurements, started=STARTED):
    from_here = provenance("tests.report:record")
    return Record(function, parameters, tuple(measurements), None, 0, started, 1.5, from_here)


def changed_by_hand(store: Path, copy: Path, *statements: str) -> Path:
    """A copy of a store after some SQL."""
    shutil.copy(store, copy)
    connection = sqlite3.connect(copy, isolation_level=None)
    for statement in statements:
        assert connection.execute(statement).rowcount
    connection.close()
    return copy


ABOUT = {
    "title": "A line & <its> law",
    "caption": 'One line, mean of 3 made-up samples; "quoted".',
    "claims": ["UP-1", "UP/6 <b>", "MN-3", "of nobody"],
    "tables": ["made up.csv"],
    "command": "python -m figures a_line",
}
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 40" width="60" height="40">'
    '<line x1="5" y1="5" x2="55" y2="35" stroke="black"/></svg>'
)


def make_figures(folder: Path, **changes) -> Path:
    """A folder as `python -m figures` leaves it, with one figure, and files that belong to none."""
    folder.mkdir(parents=True)
    (folder / "a_line.svg").write_text(SVG)
    (folder / "a_line.json").write_text(json.dumps({"name": "a_line", **ABOUT, **changes}))
    (folder / "made up.csv").write_text("x,value\n1,2\n")
    (folder / "settings.json").write_text("{}")
    return folder
