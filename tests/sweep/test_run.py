import io
import re
import sqlite3
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import dask
import distributed  # its settings exist once it is imported  # noqa: F401
import jax
import pytest
from rich.console import Console

from ntkcheck.store import Store, StoreError
from ntkcheck.sweep import Progress, measure_cell, progress_bar, run
from ntkcheck.sweep.chunk import CHUNK_SECONDS, Configuration, measure_chunk
from tests.sweep import measures
from tests.sweep.tables import is_sound, made, numbers, rows, table


@dataclass(frozen=True)
class Cells:
    cell: tuple[int, ...] = tuple(range(10))
    seconds: float = 0.0


@dataclass(frozen=True)
class Matrices:
    size: tuple[int, ...] = (3, 20, 64)
    scale: tuple[float, ...] = (0.5, 1.0, 3.0)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "a.db") as opened:
        yield opened


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv(measures.LOG, str(tmp_path / "log"))
    return tmp_path / "log"


def calls(log: Path) -> Counter[int]:
    return Counter(map(int, log.read_text().split()))


def some(count: int) -> list[dict[str, int]]:
    return [{"cell": cell} for cell in range(count)]


def test_records_come_in_the_order_of_the_grid(store):
    grid = some(10)[::-1]
    records = run(grid, measures.failing, store, threads=2)
    assert [record.parameters["cell"] for record in records] == list(range(9, -1, -1))
    assert len(store) == 10


def test_a_sweep_that_is_run_again_measures_nothing(store, log):
    first = run(Cells(), measures.draw, store)
    second = run(Cells(), measures.draw, store, threads=2)
    assert calls(log) == Counter(range(10))
    assert [record.started for record in first] == [record.started for record in second]


def test_a_larger_grid_measures_only_what_is_new(store, log):
    run(Cells(cell=(2, 5, 3)), measures.draw, store)
    run(Cells(), measures.draw, store)
    assert calls(log) == Counter(range(10))


def test_order_and_threads_change_no_bit(tmp_path):
    cells = [{"size": size, "scale": scale} for size in (3, 20, 64) for scale in (0.5, 1.0, 3.0)]
    for name, grid, threads in (("a", Matrices(), 1), ("b", cells[::-1], 1), ("c", Matrices(), 2)):
        with Store(tmp_path / name) as store:
            run(grid, measures.matrix, store, threads=threads)
    first, reverse, threaded = (table(tmp_path / name) for name in "abc")
    assert first == reverse == threaded
    assert len(first) == 9


def test_the_comparison_of_bits_sees_another_number_format(tmp_path):
    with Store(tmp_path / "a") as store, jax.enable_x64(False):
        run(Matrices(), measures.matrix, store)
    with Store(tmp_path / "b") as store, jax.enable_x64(True):
        run(Matrices(), measures.matrix, store)
    assert not table(tmp_path / "a") & table(tmp_path / "b")


def test_one_failing_cell_is_recorded_and_the_others_are_measured(store):
    records = run(some(10), measures.failing, store)
    assert [record.parameters["cell"] for record in records if record.failure] == [3]
    assert records[3].failure.startswith("ValueError: the covariance lost positive definiteness")
    assert [record.find("cell").value for record in records[4:]] == [4, 5, 6, 7, 8, 9]
    assert len(list(store.records(failed=True))) == 1


def test_a_failed_cell_stays_failed_until_it_is_to_be_retried(store, tmp_path):
    grid = [{"log": str(tmp_path / "log")}]
    assert run(grid, measures.failing_once, store)[0].failure is not None
    assert run(grid, measures.failing_once, store)[0].failure is not None
    assert run(grid, measures.failing_once, store, retry_failed=True)[0].failure is None
    assert run(grid, measures.failing_once, store)[0].failure is None


def test_a_retry_does_not_measure_what_did_not_fail(store):
    before = {record.key: record.started for record in run(some(5), measures.failing, store)}
    after = {record.key: record.started for record in run(some(5), measures.failing, store, retry_failed=True)}
    assert sum(before[key] == after[key] for key in before) >= 4


def test_a_fresh_sweep_measures_everything_again_and_keeps_the_former_records(store, tmp_path, log):
    first = run(Cells(), measures.draw, store)
    second = run(Cells(), measures.draw, store, fresh=True)
    assert calls(log) == Counter(2 * list(range(10)))
    assert all(new.started > old.started for old, new in zip(first, second, strict=True))
    assert [numbers(record) for record in first] == [numbers(record) for record in second]
    assert (len(store), rows(tmp_path / "a.db")) == (10, 20)


def test_of_a_cell_that_another_process_measured_meanwhile_its_record_is_kept(store, tmp_path):
    theirs = measure_cell(measures.failing, {"cell": 9})

    def meanwhile(progress):
        if progress.done == 0:
            with Store(tmp_path / "a.db") as other:
                other.add(theirs)

    records = run(some(10), measures.failing, store, on_progress=meanwhile)
    assert records[9].started == theirs.started
    assert rows(tmp_path / "a.db") == 10


def test_a_chunk_that_turns_out_long_ends_early():
    cells = [{"cell": cell} for cell in range(4, 100, 5)]  # 0.1 s each
    records = measure_chunk("tests.sweep.measures:uneven", cells, Configuration.current())
    # The chunk goes on after a cell that ends within 2 CHUNK_SECONDS = 0.2 s: at most two cells of 0.1 s do.
    assert 1 <= len(records) <= 2 * CHUNK_SECONDS / 0.1 + 1


def test_cells_of_very_different_length_are_all_measured(store):
    records = run(some(40), measures.uneven, store, threads=2)
    assert [record.find("cell").value for record in records] == list(range(40))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("x64", "bits"), [(True, 64), (False, 32)])
def test_the_callers_number_format_applies_in_threads(store, x64, bits, threads):
    with jax.enable_x64(x64), jax.default_matmul_precision("highest"):
        records = run(some(4), measures.configuration, store, threads=threads)
    assert {record.find("bits").value for record in records} == {bits}
    assert {record.find("is highest").value for record in records} == {1}
    assert {record.provenance["dtype"] for record in records} == {f"float{bits}"}
    assert {record.provenance["matmul_precision"] for record in records} == {"highest"}


def test_progress_counts_what_is_done_cached_and_failed(store):
    run(some(3), measures.failing, store)
    seen: list[Progress] = []
    run(some(20), measures.failing, store, on_progress=seen.append)
    assert seen[0] == Progress(done=3, cached=3, failed=0, total=20, seconds_left=None)
    assert seen[-1] == Progress(done=20, cached=3, failed=1, total=20, seconds_left=0.0)
    assert all(earlier.done <= later.done for earlier, later in pairwise(seen))
    assert all(progress.seconds_left >= 0 for progress in seen if progress.done > 3)


def test_the_progress_bar_shows_what_is_done_cached_failed_and_left():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with progress_bar(console) as on_progress:
        on_progress(Progress(5, 2, 1, 20, 3725.4))
    assert re.search(r"cells: 2 cached, 1 failed, 1:02:05 left.*5/20", console.file.getvalue())


def test_a_store_that_is_locked_stops_the_sweep_and_keeps_what_was_added(tmp_path):
    path = tmp_path / "a.db"
    other = sqlite3.connect(path, isolation_level=None)

    def lock(progress):
        if progress.done >= 3 and not other.in_transaction:
            other.execute("BEGIN IMMEDIATE")

    with Store(path, timeout=0.2) as store, pytest.raises(StoreError, match="locked"):
        run(Cells(seconds=0.06), measures.draw, store, on_progress=lock)
    other.close()
    before = made(path)
    assert 3 <= len(before) < 10
    with Store(path) as store:
        assert len(run(Cells(seconds=0.06), measures.draw, store)) == 10
    assert made(path).items() >= before.items()


def test_a_full_disk_stops_the_sweep_and_keeps_what_was_added(tmp_path):
    path = tmp_path / "a.db"
    with Store(path) as store:

        def fill(progress):
            if progress.done >= 3:  # SQLite gives the error of a full disk where its file may not grow
                store._connection.execute("PRAGMA max_page_count = 1")

        grid = [{"name": "x" * 5000, "cell": cell} for cell in range(20)]
        with pytest.raises(StoreError, match="the disk is full; free some space and run again"):
            run(grid, measures.named, store, on_progress=fill)
    before = made(path)
    assert 3 <= len(before) < 20
    assert is_sound(path)
    with Store(path) as store:
        assert len(run(grid, measures.named, store)) == 20
    assert made(path).items() >= before.items()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threads": 0}, "`threads` must be a whole number of at least 1, got 0"),
        ({"threads": 1.5}, "`threads` must be a whole number"),
        ({"workers": -1}, "`workers` must be a whole number of at least 0, got -1"),
        ({"workers": True}, "`workers` must be a whole number"),
        ({"scheduler": ""}, "`scheduler` must be the address of a Dask scheduler, got ''"),
        ({"threads": 2, "workers": 2}, "must not be combined, got 2, 2 and None"),
        ({"workers": 2, "scheduler": "tcp://127.0.0.1:1"}, "must not be combined"),
        ({"scheduler": "no scheme:at all"}, "`scheduler` must be the address of a Dask scheduler that answers"),
        ({"scheduler": "tcp://127.0.0.1:1"}, "`scheduler` must be the address of a Dask scheduler that answers"),
    ],
)
def test_impossible_ways_to_run_are_refused(store, arguments, message):
    quickly = {"distributed.comm.timeouts.connect": "0.2s"}
    with dask.config.set(quickly), pytest.raises(ValueError, match=message):
        run(some(3), measures.failing, store, **arguments)
    assert len(store) == 0


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ([{"depth": 1}], r"`grid` must have the parameters of `measure`, double\(key, x\).* got depth"),
        ([{"x": 1}, {"x": 1, "y": 2}], "got x, y: got an unexpected keyword argument 'y'"),
        ([{}], "got none: missing a required argument: 'x'"),
        ([], "at least one cell"),
    ],
)
def test_a_grid_that_does_not_fit_the_function_is_refused_before_anything_is_measured(store, grid, message):
    with pytest.raises(ValueError, match=message):
        run(grid, measures.double, store)
    assert len(store) == 0


def test_a_function_that_workers_cannot_find_is_refused(store):
    with pytest.raises(ValueError, match="`function` must be one that another process can find by name"):
        run(some(3), lambda key, cell: [], store)
