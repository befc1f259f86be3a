"""Where cells are measured: threads of this process, processes of this machine, or a Dask cluster."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

MOST_DEATHS = 1  # of a local worker in a chunk's hands, before the chunk is taken apart
MEND_MILLISECONDS = 1000
SETTINGS = {
    "distributed.scheduler.allowed-failures": MOST_DEATHS,
    "distributed.worker.multiprocessing-method": "spawn",  # JAX's threads do not survive a fork
    "distributed.deploy.lost-worker-timeout": "7 days",  # Dask would give up a worker that is slow to start again
    # A paused worker would wait for ever for memory that JAX keeps; one that is out of memory is restarted.
    **{f"distributed.worker.memory.{action}": False for action in ("target", "spill", "pause")},
    # The caller's own numbers of threads: BLAS rounds differently on one thread than on two.
    **{f"distributed.nanny.pre-spawn-environ.{library}_NUM_THREADS": None for library in ("OMP", "MKL", "OPENBLAS")},
}


class Pool(NamedTuple):
    """Workers that measure chunks.

    Attributes:
        executor: Takes chunks.
        slots: How many cells it measures at a time, as of now.
        deaths: Exceptions that mean that a worker died, not that a cell failed.
        cancel_queued: Takes back what has not begun, where what has begun goes on.
    """

    executor: Executor
    slots: Callable[[], int]
    deaths: tuple[type[BaseException], ...]
    cancel_queued: Callable[[], None]


def open_pool(threads: int, workers: int, scheduler: str | None) -> AbstractContextManager[Pool]:
    """The pool that the arguments of `run` ask for, to be entered."""
    _check(threads, workers, scheduler)
    if scheduler is not None:
        return _dask(scheduler)
    return _processes(workers) if workers else _threads(threads)


def _check(threads: int, workers: int, scheduler: str | None) -> None:
    for name, count, least in (("threads", threads, 1), ("workers", workers, 0)):
        if isinstance(count, bool) or not isinstance(count, int) or count < least:
            raise ValueError(
                f"`{name}` must be a whole number of at least {least}, got {count!r}; leave it out for {least}."
            )
    if scheduler is not None and (not isinstance(scheduler, str) or not scheduler):
        raise ValueError(
            f"`scheduler` must be the address of a Dask scheduler, got {scheduler!r}; try tcp://host:8786."
        )
    if (threads > 1) + (workers > 0) + (scheduler is not None) > 1:
        raise ValueError(
            f"`threads`, `workers` and `scheduler` must not be combined, got {threads}, {workers} and {scheduler!r}; "
            "choose one of them."
        )


@contextmanager
def _threads(threads: int) -> Iterator[Pool]:
    executor = ThreadPoolExecutor(threads, thread_name_prefix="cell")
    cancel = partial(executor.shutdown, wait=False, cancel_futures=True)
    try:
        yield Pool(executor, lambda: threads, (), cancel)
    finally:
        cancel()


@contextmanager
def local_cluster(workers: int) -> Iterator["LocalCluster"]:
    """A started Dask cluster of single-threaded processes on this machine, in which dead ones are replaced.

    Args:
        workers: number of processes.

    Raises:
        RuntimeError: where they do not start.
    """
    import dask.config
    from distributed import LocalCluster
    from tornado.ioloop import PeriodicCallback

    with dask.config.set(SETTINGS):
        try:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                protocol="tcp",
                dashboard_address=":0",  # the scheduler always has an HTTP server: let it take any free port
                preload="ntkcheck.sweep.worker",
                silence_logs=logging.CRITICAL,
            )
        except RuntimeError as error:
            raise RuntimeError(
                "The worker processes did not start; a script that asks for `workers` must do its own work under "
                '`if __name__ == "__main__":`, because every one of them imports it.'
            ) from error
        with cluster:
            mending = PeriodicCallback(partial(_mend, cluster, workers), MEND_MILLISECONDS)
            cluster.periodic_callbacks["mend"] = mending
            cluster.loop.add_callback(mending.start)  # pyright: ignore[reportOptionalMemberAccess]
            yield cluster


def _mend(cluster: "LocalCluster", workers: int) -> None:
    """Start workers anew whose nanny gave up, as it does where the process dies while it starts."""
    from distributed.core import Status

    for name, nanny in list(cluster.workers.items()):
        if nanny.status in (Status.closed, Status.failed):
            del cluster.workers[name]
    cluster.scale(workers)


@contextmanager
def _processes(workers: int) -> Iterator[Pool]:
    with local_cluster(workers) as cluster, _dask(cluster.scheduler_address) as pool:
        yield pool


@contextmanager
def _dask(address: str) -> Iterator[Pool]:
    from distributed import Client, KilledWorker

    try:
        client = Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`scheduler` must be the address of a Dask scheduler that answers, got {address!r} ({error}); "
            "start one (`dask scheduler`), or leave `scheduler` out."
        ) from None
    with client:
        executor = client.get_executor(pure=False)
        try:
            yield Pool(executor, partial(_threads_of, client), (KilledWorker,), lambda: None)
        finally:
            executor.shutdown(wait=False)


def _threads_of(client: "Client") -> int:
    return sum(client.nthreads().values())  # pyright: ignore[reportAttributeAccessIssue]
