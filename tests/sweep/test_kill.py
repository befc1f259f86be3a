"""Sweeps that are killed with SIGKILL and interrupted with SIGINT, in processes of their own."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import ntkcheck.sweep
from ntkcheck.store import Store
from ntkcheck.sweep import run
from tests.sweep import interrupted, measures, nursery
from tests.sweep.tables import is_sound, made, rows, table

ROOT = Path(__file__).parents[2]
KILLS, MOST_CELLS, LATEST = 50, 60, 0.05  # seconds, after at most so many cells of the 200


@pytest.fixture(scope="module")
def children() -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "tests.sweep.nursery"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


def answer(children: subprocess.Popen, word: str) -> int:
    found, number = children.stdout.readline().split()
    assert found == word
    return int(number)


def begin(children: subprocess.Popen, path: Path, log: Path, threads: int = 1) -> int:
    children.stdin.write(f"{path} {log} {threads}\n")
    children.stdin.flush()
    return answer(children, "begin")


def kill_at_random(children: subprocess.Popen, moments: random.Random, path: Path, log: Path) -> bool:
    """Whether the sweep had not ended when it was to be killed: a random time after a random number of cells was begun."""
    enough = calls(log).total() + moments.randrange(MOST_CELLS)
    pid = begin(children, path, log, threads=moments.choice([1, 2]))
    with suppress(ProcessLookupError):
        while calls(log).total() < enough:
            os.kill(pid, 0)
            time.sleep(0.001)
        time.sleep(moments.uniform(0, LATEST))
        os.kill(pid, signal.SIGKILL)
    return answer(children, "end") == -signal.SIGKILL


def calls(log: Path) -> Counter[int]:
    return Counter(map(int, log.read_text().split())) if log.exists() else Counter()


def stored_cells(path: Path) -> set[int]:
    with Store(path) as store:
        return {record.parameters["cell"] for record in store.records()}


def test_sweeps_that_are_killed_at_fifty_random_moments_lose_nothing_and_measure_nothing_twice(children, tmp_path):
    moments, kills, partial, sweeps = random.Random(20), 0, 0, 0
    begin(children, tmp_path / "whole.db", tmp_path / "whole.log")
    assert answer(children, "end") == 0
    whole = table(tmp_path / "whole.db")
    while kills < KILLS:
        path, log, sweeps = tmp_path / f"{sweeps}.db", tmp_path / f"{sweeps}.log", sweeps + 1
        before, stored, called = {}, set(), Counter()
        is_killed = True
        while is_killed:
            is_killed = kills < KILLS and kill_at_random(children, moments, path, log)
            if kills == KILLS:
                begin(children, path, log)
                assert answer(children, "end") == 0
            kills += is_killed
            now, now_called = made(path), calls(log)
            assert now.items() >= before.items(), "a stored cell was lost, or measured again"
            assert all(now_called[cell] == called[cell] for cell in stored), "a stored cell was measured again"
            assert is_sound(path)
            before, stored, called = now, stored_cells(path), now_called
            partial += is_killed and 0 < len(now) < nursery.CELLS
        assert rows(path) == nursery.CELLS
        assert table(path) == whole
    assert partial >= KILLS / 2, "most kills have to hit a sweep that has stored something and lacks something"
    assert sweeps >= 3


@pytest.mark.parametrize("kind", ["threads", "workers"])
def test_what_was_finished_before_ctrl_c_is_in_the_store(tmp_path, kind):
    path = tmp_path / "a.db"
    command = [sys.executable, "-m", "tests.sweep.interrupted", str(path), kind]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        seen = next(int(line) for line in process.stdout if int(line) >= 40)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
        rest, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    word, count = rest.splitlines()[-1].split()
    assert (word, errors) == ("interrupted", "")
    assert seen <= int(count) < interrupted.CELLS
    before = made(path)
    assert len(before) == int(count)
    grid = [{"cell": cell, "seconds": interrupted.SECONDS} for cell in range(interrupted.CELLS)]
    with Store(path) as store:
        run(grid, measures.draw, store, threads=8)
    assert made(path).items() >= before.items()
    assert rows(path) == interrupted.CELLS


def test_the_example_in_the_documentation_runs_and_goes_on_where_it_was(tmp_path):
    example = ntkcheck.sweep.__doc__.partition("`width.py`:\n")[2].rpartition("Run it twice")[0]
    (tmp_path / "width.py").write_text(textwrap.dedent(example))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    results = [
        subprocess.run([sys.executable, "width.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
        for _ in range(2)
    ]
    assert [result.returncode for result in results] == [0, 0], results[0].stderr
    assert results[0].stdout == results[1].stdout
    assert "0 cached, 0 failed" in results[0].stderr
    assert "6 cached, 0 failed" in results[1].stderr
    # The expectation of the squared mean of 64 signs is 1/64, over 100 draws of 4 layers with a standard error of about 7%.
    with Store(tmp_path / "width.db") as store:
        (record,) = store.records(where={"width": 64, "depth": 4})
    estimate = record.find("second moment")
    assert abs(estimate.value - 1 / 64) < 4 * estimate.sem
    assert abs(estimate.value - 2 / 64) > 4 * estimate.sem
