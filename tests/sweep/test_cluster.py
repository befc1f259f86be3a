"""Sweeps on one Dask cluster of four worker processes over TCP, which all tests of this file share."""

import os
import signal
import time
from contextlib import suppress

import jax
import pytest

from ntkcheck.store import Store
from ntkcheck.sweep import run
from ntkcheck.sweep.pool import local_cluster
from tests.sweep import measures
from tests.sweep.tables import is_sound, numbers, rows, table

WORKERS = 4


@pytest.fixture(scope="module")
def cluster():
    with local_cluster(WORKERS) as started:
        yield started


def some(count: int) -> list[dict[str, int]]:
    return [{"cell": cell} for cell in range(count)]


def test_a_sweep_ends_complete_though_half_of_the_workers_are_killed(cluster, tmp_path):
    killed = []

    def kill_two(progress):
        if progress.done >= 20 and not killed:
            killed.extend([cluster.workers[0].pid, cluster.workers[1].pid])
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    grid = [{"cell": cell, "seconds": 0.02} for cell in range(200)]
    with Store(tmp_path / "killed.db") as store:
        records = run(grid, measures.draw, store, scheduler=cluster.scheduler_address, on_progress=kill_two)
    assert len(killed) == 2
    assert [record.parameters["cell"] for record in records] == list(range(200))
    assert not any(record.failure for record in records)
    assert rows(tmp_path / "killed.db") == 200
    assert is_sound(tmp_path / "killed.db")
    with Store(tmp_path / "whole.db") as store:
        run([{**cell, "seconds": 0.02} for cell in some(200)], measures.draw, store, threads=8)
    assert table(tmp_path / "killed.db") == table(tmp_path / "whole.db")


def test_a_cell_that_kills_its_worker_every_time_is_recorded_as_failed_and_the_sweep_goes_on(cluster, tmp_path):
    with Store(tmp_path / "a.db") as store:
        records = run(some(60), measures.killing, store, scheduler=cluster.scheduler_address)
        assert len(list(store.records(failed=True))) == 1
    assert [record.parameters["cell"] for record in records if record.failure] == [7]
    assert records[7].failure.startswith("KilledWorker: the process died every time")
    assert rows(tmp_path / "a.db") == 60


def kill_workers(cluster) -> set[int]:
    """The processes that were there, in operation or still starting."""
    pids = {nanny.pid for nanny in cluster.workers.values()} - {None}
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return pids


def test_workers_that_die_while_they_start_are_replaced(cluster, tmp_path):
    first = kill_workers(cluster)
    deadline = time.monotonic() + 30
    while not {nanny.pid for nanny in cluster.workers.values()} - {None} - first and time.monotonic() < deadline:
        time.sleep(0.01)
    assert kill_workers(cluster) - first
    with Store(tmp_path / "a.db") as store:
        records = run(some(20), measures.draw, store, scheduler=cluster.scheduler_address)
    assert not any(record.failure for record in records)
    cluster.wait_for_workers(WORKERS, timeout=60)


def test_one_failing_cell_is_recorded_with_its_reason_and_the_sweep_goes_on(cluster, tmp_path):
    with Store(tmp_path / "a.db") as store:
        records = run(some(10), measures.failing, store, scheduler=cluster.scheduler_address)
    assert [record.parameters["cell"] for record in records if record.failure] == [3]
    assert records[3].failure.startswith("ValueError: the covariance lost positive definiteness (at ")


def test_workers_change_no_bit(cluster, tmp_path):
    grid = [{"size": size, "scale": scale} for size in (3, 20, 64, 200) for scale in (0.5, 1.0, 3.0)]
    with Store(tmp_path / "here.db") as here, Store(tmp_path / "there.db") as there:
        local = run(grid, measures.matrix, here)
        remote = run(grid[::-1], measures.matrix, there, scheduler=cluster.scheduler_address)
    assert [numbers(record) for record in local] == [numbers(record) for record in remote[::-1]]


@pytest.mark.parametrize(("x64", "bits"), [(True, 64), (False, 32)])
def test_the_callers_number_format_applies_in_workers(cluster, tmp_path, x64, bits):
    with Store(tmp_path / "a.db") as store, jax.enable_x64(x64), jax.default_matmul_precision("highest"):
        records = run(some(8), measures.configuration, store, scheduler=cluster.scheduler_address)
    assert {record.find("bits").value for record in records} == {bits}
    assert {record.find("is highest").value for record in records} == {1}
    assert {record.provenance["dtype"] for record in records} == {f"float{bits}"}


def test_a_function_may_be_a_parameter_in_workers(cluster, tmp_path):
    grid = [{"function": measures.half, "at": float(at)} for at in range(3)]
    with Store(tmp_path / "a.db") as store:
        records = run(grid, measures.apply, store, scheduler=cluster.scheduler_address)
    assert [record.find("value").value for record in records] == [0.0, 0.5, 1.0]


def test_a_function_that_workers_cannot_import_stops_the_sweep(cluster, tmp_path, monkeypatch):
    module = tmp_path / "appears_only_here.py"
    module.write_text("def measure(key, cell): return []\n")
    monkeypatch.syspath_prepend(tmp_path)
    measure = __import__("appears_only_here").measure
    with (
        Store(tmp_path / "a.db") as store,
        pytest.raises(ValueError, match="importing appears_only_here raised ModuleNotFoundError"),
    ):
        run(some(5), measure, store, scheduler=cluster.scheduler_address)
    assert rows(tmp_path / "a.db") == 0
