"""Other processes: that write too, are killed, hold the lock, or lack the rights; each a real one."""

import multiprocessing
import random
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ntkcheck.store import Store, StoreError
from ntkcheck.store.verify import problems
from tests.store import content, processes, record

CONTEXT = multiprocessing.get_context("forkserver")  # imports once, before any thread, and forks from there
CONTEXT.set_forkserver_preload(["tests.store.processes"])


@contextmanager
def process(task, *arguments):
    """A process that does `task`, and the end of a pipe where its answers come out."""
    answers, answer = CONTEXT.Pipe(duplex=False)
    started = CONTEXT.Process(target=task, args=[answer if each is ANSWER else each for each in arguments])
    started.start()
    answer.close()
    try:
        yield started, answers
    finally:
        started.kill()
        started.join()
        answers.close()


ANSWER = object()  # where the pipe goes among the arguments


def everything(answers):
    """What comes out until the other end is closed."""
    found = []
    while True:
        try:
            found.append(answers.recv())
        except (EOFError, ConnectionResetError):
            return found


def numbers(path):
    with Store(path) as store:
        return [each.parameters["i"] for each in store.records(superseded=True)]


def test_processes_that_write_at_once_add_every_key_once(tmp_path):
    path = tmp_path / "store.db"  # made by whichever is first
    ranges = [range(first, first + 60) for first in (0, 0, 30, 60)]
    with ExitStack() as stack:
        started = [stack.enter_context(process(processes.write, path, each, ANSWER)) for each in ranges]
        assert [everything(answers) for _, answers in started] == list(map(list, ranges))
    assert sorted(numbers(path)) == list(range(120))
    assert list(problems(path)) == []


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path):
    path, rng = tmp_path / "store.db", random.Random(0)
    kept, first = [], 0
    for _ in range(8):
        with process(processes.write, path, range(first, first + 10_000), ANSWER) as (writer, answers):
            answers.poll(20)
            time.sleep(rng.uniform(0, 0.1))
            writer.kill()
            acknowledged = everything(answers)
        assert writer.exitcode == -9
        assert acknowledged
        kept += acknowledged
        found = numbers(path)
        assert found[: len(kept)] == kept
        assert len(found) <= len(kept) + 1  # one may have been added and not yet said
        assert list(problems(path)) == []
        first, kept = len(found), found
    assert len(kept) > 40
    with Store(path) as store:
        expected = [record(i, started=each.started) for i, each in enumerate(store.records())]
        assert list(map(content, store.records())) == list(map(content, expected))


def test_a_store_that_another_process_has_locked(tmp_path):
    path = tmp_path / "store.db"
    with Store(path) as store:
        store.add(record())
    with process(processes.lock, path, ANSWER, 60.0) as (holder, answers):
        assert answers.recv()
        start = time.monotonic()
        with pytest.raises(
            StoreError, match=r"store.db is locked by another process \(waited 0.3 s\); wait until that is done"
        ):
            Store(path, timeout=0.3)
        assert time.monotonic() - start >= 0.3  # it waited
        holder.kill()
        holder.join()
        with Store(path, timeout=5) as store:  # the lock goes with the process
            store.add(record(1))
    with process(processes.lock, path, ANSWER, 0.3) as (_, answers), Store(path, read_only=True) as store:
        assert answers.recv()
        assert len(store) == 2
        with Store(path, timeout=20) as patient:
            patient.add(record(2))
        assert len(store) == 3


@pytest.fixture
def public():
    """A folder that everybody can enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def answers_of(path):
    with process(processes.forbidden, path, ANSWER) as (_, answers):
        return everything(answers)


def test_a_folder_and_a_file_that_may_only_be_read(public):
    path = public / "store.db"
    with Store(path) as store:
        store.add(record(0), record(1))
    path.chmod(0o666)
    public.chmod(0o777)
    assert answers_of(path) == ["could be written", 2]  # the same process, with the rights
    public.chmod(0o555)
    path.chmod(0o444)
    refused, count = answers_of(path)
    assert f"{path} cannot be written (" in refused
    assert "; check the permissions of the file and of its folder, or open it to read only" in refused
    assert count == 2
    path.chmod(0o000)
    refused, unread = answers_of(path)
    assert refused == unread == f"{path} cannot be read (Permission denied); check its permissions."


def test_a_file_in_a_folder_where_none_may_be_made(public):
    public.chmod(0o555)
    refused, absent = answers_of(public / "store.db")
    assert "store.db cannot be written (unable to open database file); check the permissions" in refused
    assert "store.db does not exist" in absent


def test_a_disk_that_does_not_take_more(tmp_path):
    path = tmp_path / "store.db"
    with process(processes.limited, path, 300_000, ANSWER) as (_, answers):
        added, message = answers.recv()
    assert "cannot be read or written (disk I/O error); check the disk (space, quota, health) and run again" in message
    assert len(added) > 5
    assert numbers(path)[: len(added)] == added
    assert list(problems(path)) == []
