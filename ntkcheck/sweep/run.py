"""A sweep: what the store lacks of a grid is measured, and stored as it comes."""

import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager

from ntkcheck.store import Record, Store, canonical, reference
from ntkcheck.sweep.cell import Measure
from ntkcheck.sweep.grid import by_key, check_parameters
from ntkcheck.sweep.pool import open_pool
from ntkcheck.sweep.progress import OnProgress, Progress
from ntkcheck.sweep.schedule import Schedule


def run(
    grid: object,
    measure: Measure,
    store: Store,
    *,
    threads: int = 1,
    workers: int = 0,
    scheduler: str | None = None,
    retry_failed: bool = False,
    fresh: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Record]:
    """The records of all cells of a grid, in its order; what the store lacks is measured, and stored as it is finished.

    A sweep that was interrupted or killed goes on where it was when it is run again. A cell that fails, or whose process
    dies every time, becomes a record with its reason, and the sweep goes on. Neither the order of cells nor `threads`,
    `workers` and `scheduler` change a number: random keys follow from a cell's parameters, and the caller's 64-bit mode
    and precision of matrix products apply wherever a cell is measured. (BLAS rounds differently on another number of
    threads: local workers have the caller's OMP_NUM_THREADS and OPENBLAS_NUM_THREADS; set 1 where there are many.)

    Args:
        grid: what `cells` takes.
        measure: a function of a module, `measure(key, **parameters) -> list[Measurement]`; workers import it by name.
        store: where records are, and go.
        threads: cells measured at a time in this process.
        workers: processes of this machine to measure in; 0 for none. A script that asks for them keeps its own work
            under `if __name__ == "__main__":`, since every one of them imports it.
        scheduler: address of a Dask scheduler, whose workers have the same packages and files.
        retry_failed: whether cells that failed before are measured again.
        fresh: whether all cells are measured again; the store keeps the former records as superseded.
        on_progress: called after every batch that is stored.

    Raises:
        ValueError: for a bad grid, a function that cannot be found again by name, cells that are not its parameters, or
            a scheduler that does not answer.
        StoreError: where the store cannot be written; what was added stays.
        ConnectionError: where the Dask scheduler is lost; what was added stays.
        KeyboardInterrupt: on Ctrl-C, once what was finished is stored. Cells that have begun get a second to finish; a
            thread cannot be stopped, so that the process itself ends with the last cell that had begun on one.
    """
    pool, function = open_pool(threads, workers, scheduler), reference(measure)
    wanted = {key: canonical(cell) for key, cell in by_key(grid, function).items()}
    check_parameters(measure, wanted.values())
    found = {} if fresh else dict(_found(store, function, wanted, retry_failed))
    lacking = [cell for key, cell in wanted.items() if key not in found]
    report = _reporter(found, len(wanted), on_progress)
    report()
    if lacking:
        with pool as entered:
            schedule = Schedule(function, lacking, entered)
            with _kept_on_interruption(schedule, store, found, fresh):
                while schedule.advance():
                    _save(schedule, store, found, fresh)
                    report()
    return [found[key] for key in wanted]


def _found(store: Store, function: str, wanted: Container[str], retry_failed: bool) -> Iterator[tuple[str, Record]]:
    for key in store.keys(function, failed=False if retry_failed else None):
        if key in wanted and (record := store.find(key)):
            yield key, record


@contextmanager
def _kept_on_interruption(schedule: Schedule, store: Store, found: dict[str, Record], fresh: bool) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        schedule.stop()
        _save(schedule, store, found, fresh)
        raise


def _save(schedule: Schedule, store: Store, found: dict[str, Record], fresh: bool) -> None:
    """Store what is measured, in one transaction; of cells that another process measured meanwhile, its record is found."""
    if records := tuple(schedule.unsaved.values()):
        current = (store.replace if fresh else store.add)(*records)
        found.update((record.key, record) for record in current)
        schedule.unsaved.clear()


def _reporter(found: dict[str, Record], total: int, on_progress: OnProgress | None) -> Callable[[], None]:
    cached, start = len(found), time.monotonic()

    def report() -> None:
        if on_progress is not None:
            measured, failed = len(found) - cached, sum(record.failure is not None for record in found.values())
            left = (time.monotonic() - start) / measured * (total - len(found)) if measured else None
            on_progress(Progress(len(found), cached, failed, total, left))

    return report
