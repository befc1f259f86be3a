"""Sweeps: what scheduling and storing add to cells of one millisecond, on two local worker processes.

Run as `uv run python -m benchmarks.sweep`. The cluster is started, and its workers have imported everything, before the clock.
A sleep of one millisecond lasts a little longer, so the wall time is given against both: the cells' nominal time, and the time
that they took by the workers' clocks.
"""

import statistics
import tempfile
import time
from pathlib import Path

from ntkcheck.measurement import Measurement
from ntkcheck.stats import Estimate
from ntkcheck.store import Store
from ntkcheck.sweep import run
from ntkcheck.sweep.pool import local_cluster

CELLS, SECONDS, WORKERS, RUNS = 1000, 0.001, 2, 7


def sleep(key, cell: int, warm: int) -> list[Measurement]:
    """A cell of one millisecond."""
    time.sleep(SECONDS)
    return [Measurement("cell", Estimate(float(cell), 0.0, 0), "closed form")]


def sweep(folder: Path, warm: int, scheduler: str) -> tuple[float, float]:
    """Wall seconds of one sweep into a new store, and the seconds that the cells took."""
    grid = [{"cell": cell, "warm": warm} for cell in range(CELLS)]
    with Store(folder / f"{warm}.db") as store:
        start = time.perf_counter()
        records = run(grid, sleep, store, scheduler=scheduler)
        return time.perf_counter() - start, sum(record.seconds for record in records)


def main() -> None:
    """Print wall times and overheads, medians over runs."""
    with local_cluster(WORKERS) as cluster, tempfile.TemporaryDirectory() as folder:
        sweep(Path(folder), -1, cluster.scheduler_address)
        runs = [sweep(Path(folder), i, cluster.scheduler_address) for i in range(RUNS)]
    wall = statistics.median(wall for wall, _ in runs)
    busy = statistics.median(busy / WORKERS for _, busy in runs)
    overhead = statistics.median(wall / (busy / WORKERS) - 1 for wall, busy in runs)
    ideal = CELLS * SECONDS / WORKERS
    print(f"{CELLS} cells of {SECONDS * 1e3:g} ms on {WORKERS} workers, storing included, median of {RUNS} sweeps")
    print(f"  wall {wall:.3f} s; the cells' own time, over {WORKERS} workers, {busy:.3f} s; nominally {ideal:g} s")
    print(f"  overhead {overhead:.1%} of the cells' own time, {wall / ideal - 1:.1%} of the nominal time")


if __name__ == "__main__":
    main()
