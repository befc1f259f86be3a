"""The store at 100 000 records: adding, looking up, listing and counting, each on a disk that has to confirm.

Run as `uv run python -m benchmarks.store [FOLDER]`; the file is made in FOLDER (default: that of temporary files) and removed.
Times are wall-clock; adding one record at a time is the disk's time as much as ours, so a bare write of two pages with fsync
stands beside it.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ntkcheck.measurement import Measurement, Series
from ntkcheck.stats import Estimate
from ntkcheck.store import Record, Store

ROWS, BATCH, SINGLES, RUNS, LAYERS = 100_000, 100, 300, 5, 50
PROVENANCE = {"python": "3.11", "jax": "0.10", "device": "cpu", "dtype": "float64", "code": "0" * 64}


def record(i: int, measurements: tuple[Measurement, ...]) -> Record:
    """A record as sweeps make them: a handful of parameters."""
    parameters = {"normalizer": "batch_norm", "depth": i % 100, "width": i, "sigma_w": 1.5 + i, "group_size": None}
    return Record(
        "package.module:measure", parameters, measurements, None, i, "2030-01-01T00:00:00+00:00", 0.1, PROVENANCE
    )


def number(i: int) -> tuple[Measurement, ...]:
    """One estimate."""
    return (Measurement("gradient_growth", Estimate(1 / (i + 1), 0.01, 10), "10 networks of width 300"),)


def curve(i: int) -> tuple[Measurement, ...]:
    """One series."""
    value = np.linspace(0, i, LAYERS)
    return (Measurement("correlation", Series(value, value / 10, 10, np.arange(LAYERS)), "10 networks of width 300"),)


def seconds(work: Callable[[], object]) -> float:
    """Duration of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(folder: str | None = None) -> None:
    """Print the figures for numbers and for series."""
    for name, measurements in (("one estimate", number), (f"one series of {LAYERS} places", curve)):
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            path = Path(temporary) / "store.db"
            with Store(path) as store:
                print(f"{ROWS} records of {name}; milliseconds a record, durable")
                _adding(store, path, measurements)
                _reading(store)


def _adding(store: Store, path: Path, measurements: Callable[[int], tuple[Measurement, ...]]) -> None:
    batches = [[record(i, measurements(i)) for i in range(j, j + BATCH)] for j in range(0, ROWS - SINGLES, BATCH)]
    print(
        f"  in batches of {BATCH}: {1000 * seconds(lambda: [store.add(*batch) for batch in batches]) / (ROWS - SINGLES):.3f}"
    )
    singles = [record(i, measurements(i)) for i in range(ROWS - SINGLES, ROWS)]
    later = [(seconds(lambda each=each: store.add(each)), _bare_write(path.parent)) for each in singles]
    add, write = (1000 * statistics.median(times) for times in zip(*later, strict=True))
    print(f"  one at a time, at {len(store)}: median {add:.3f}; a bare write of two pages with fsync: {write:.3f}")
    print(f"  file: {path.stat().st_size / 2**20:.1f} MiB")


def _bare_write(folder: Path) -> float:
    with (folder / "bare").open("ab") as file:

        def write() -> None:
            file.write(bytes(8192))
            file.flush()
            os.fsync(file.fileno())

        return seconds(write)


def _reading(store: Store) -> None:
    keys = list(store.keys())[:: ROWS // 1000]
    works: dict[str, Callable[[], object]] = {
        "count": lambda: len(store),
        "keys": store.keys,
        "list all": lambda: sum(1 for _ in store.records()),
        "list where depth = 7": lambda: sum(1 for _ in store.records(where={"depth": 7})),
        "newest 20": lambda: [each for each, _ in zip(store.records(newest_first=True), range(20), strict=False)],
        f"find {len(keys)} keys": lambda: [store.find(key) for key in keys],
    }
    for name, work in works.items():
        print(f"  {name}, median of {RUNS}, seconds: {statistics.median(seconds(work) for _ in range(RUNS)):.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
