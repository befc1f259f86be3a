"""Damage and edits by hand are found and named, and what is whole can be recovered."""

import random
import sqlite3
from collections import Counter

import pytest

from ntkcheck.store import Store, StoreError
from ntkcheck.store.connection import log_of
from ntkcheck.store.recover import recover
from ntkcheck.store.verify import problems
from tests.store import content, record

COUNT = 40


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The bytes of a store, and what is in it: numbers, series, a failure, and former records."""
    path = tmp_path_factory.mktemp("written") / "store.db"
    with Store(path) as store:
        store.add(*(record(i, failure="E: x" if i == 7 else None) for i in range(COUNT)))
        store.replace(record(3), record(3), record(20))
        everything = list(map(content, store.records(superseded=True)))
    return path.read_bytes(), everything


@pytest.fixture
def path(tmp_path, written):
    (tmp_path / "store.db").write_bytes(written[0])
    return tmp_path / "store.db"


def execute(path, *statements):
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        assert connection.execute(statement).rowcount
    connection.close()


def contents(path):
    with Store(path) as store:
        return list(map(content, store.records(superseded=True)))


def test_a_store_as_it_was_written_has_no_problems(path, written):
    assert list(problems(path)) == []
    assert len(written[1]) == COUNT + 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE measurement SET value = value + 1e-15 WHERE cell = 5 AND quantity = 'growth'",
        "UPDATE measurement SET value = -value WHERE cell = 5 AND quantity = 'growth'",
        "UPDATE measurement SET value = '1.5' WHERE cell = 5 AND quantity = 'growth'",
        "UPDATE measurement SET sem = 0.05 WHERE cell = 5 AND quantity = 'growth'",
        "UPDATE measurement SET n = 11 WHERE cell = 5 AND quantity = 'growth'",
        "UPDATE measurement SET method = 'closed form' WHERE cell = 5 AND quantity = 'growth'",
        "UPDATE measurement SET at = zeroblob(length(at)) WHERE cell = 5 AND quantity = 'correlation'",
        "UPDATE measurement SET position = 3 - position WHERE cell = 5",
        "INSERT INTO measurement VALUES (5, 9, 'extra', 1.5, 0.1, 10, NULL, '10 networks')",
        "UPDATE cell SET function = function || '2' WHERE id = 5",
        "UPDATE cell SET parameters = '{\"i\":4.0}' WHERE id = 5",
        "UPDATE cell SET failure = 'E: y' WHERE id = 5",
        "UPDATE cell SET seed = 5 WHERE id = 5",
        "UPDATE cell SET started = '' WHERE id = 5",
        "UPDATE cell SET seconds = 0.5 WHERE id = 5",
        "UPDATE cell SET key = 'a' || substr(key, 2) || 'b' WHERE id = 5",
        "UPDATE cell SET checksum = '' WHERE id = 5",
        "UPDATE cell SET provenance = 2 WHERE id = 5",
    ],
)
def test_a_record_that_was_changed_by_hand_is_named(path, statement):
    execute(path, statement)
    (found,) = problems(path)
    assert found.startswith("record 5 is not as it was written: tests.store.measures:drawn")
    assert ('at {"i":4}, quantities: ' in found) == ("parameters" not in statement)
    assert "growth" in found
    assert "correlation" in found


def test_a_quantity_that_was_renamed_or_removed_is_noticed(path):
    execute(path, "UPDATE measurement SET quantity = 'other' WHERE cell = 5 AND position = 0")
    execute(path, "DELETE FROM measurement WHERE cell = 6 AND position = 0")
    assert [found.partition("quantities")[2] for found in problems(path)] == [": other, correlation", ": correlation"]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM cell WHERE id = 5", ["records before number 6 are gone", "measurements of record 5 are left"]),
        ("DELETE FROM cell WHERE id = 43", ["measurements of record 43 are left", "record 21 is marked as superseded"]),
        ("UPDATE cell SET superseded = 6 WHERE id = 5", ["record 5 is marked as superseded by one that is not its"]),
        ("UPDATE cell SET superseded = 5 WHERE id = 5", ["record 5 is marked as superseded by one that is not its"]),
        ("UPDATE provenance SET content = '{}'", ["record 1 is not", "record 2 is not"]),
    ],
)
def test_a_record_that_was_removed_or_misplaced_is_noticed(path, statement, expected):
    execute(path, statement)
    found = list(problems(path))
    for beginning, line in zip(expected, found, strict=False):
        assert line.startswith(beginning)
    assert len(found) == (COUNT + 3 if "provenance" in statement else len(expected))


def test_garbage_in_a_record_is_damage_when_it_is_read(path):
    execute(path, "UPDATE measurement SET value = 'many' WHERE cell = 5 AND position = 0")
    with Store(path) as store, pytest.raises(StoreError, match=r"store.db is damaged \(record 5: could not convert"):
        list(store.records())
    execute(path, "UPDATE provenance SET content = '{'")
    with Store(path) as store, pytest.raises(StoreError, match=r"store.db is damaged \(provenance 1: "):
        list(store.records())


def consequence(path, everything):
    """What comes of a damaged file: it is refused, or its damage is named, or all that it says is as it was."""
    try:
        found = contents(path)
        named = list(problems(path))
    except StoreError:
        return "refused"
    if named:
        return "named"
    assert found == everything
    return "harmless"


def recovered(path, new):
    try:
        recover(path, new)
    except StoreError:
        return []
    assert list(problems(new)) == []
    return contents(new)


@pytest.mark.parametrize("size", [4, 200])
def test_random_bytes_anywhere_are_never_taken_for_measurements(path, written, tmp_path, size):
    whole, everything = written
    rng, consequences, shares = random.Random(size), Counter(), []
    for page in range(0, len(whole), 4096):
        offset = page + rng.choice((0, rng.randrange(4096 - size)))
        path.write_bytes(whole[:offset] + rng.randbytes(size) + whole[offset + size :])
        log_of(path).unlink(missing_ok=True)
        found = recovered(path, tmp_path / f"new{page}.db")
        assert set(map(str, found)) <= set(map(str, everything))
        shares.append(len(found) / len(everything))
        consequences[consequence(path, everything)] += 1
    assert consequences["refused"] > 0
    assert consequences["refused"] + consequences["named"] > len(shares) / 4
    assert sum(shares) / len(shares) > 0.6  # most pages hold few records


def test_a_beginning_that_is_destroyed_costs_no_record(path, written, tmp_path):
    path.write_bytes(bytes(4096) + written[0][4096:])
    with pytest.raises(StoreError, match=r"is not a store.*copy what can be read by `python -m ntkcheck.store recover"):
        Store(path)
    assert recover(path, tmp_path / "new.db") == (COUNT + 3, [])
    assert contents(tmp_path / "new.db") == written[1]


@pytest.mark.parametrize("share", [0.75, 0.9, 0.99])
def test_the_whole_part_of_a_truncated_store_is_recovered(path, written, tmp_path, share):
    path.write_bytes(written[0][: int(share * len(written[0]))])
    before = path.read_bytes()
    found = recovered(path, tmp_path / "new.db")
    assert path.read_bytes() == before
    assert 0 < len(found) < len(written[1])
    assert set(map(str, found)) <= set(map(str, written[1]))


def test_what_is_only_in_the_log_is_recovered_too(tmp_path, written):
    path = tmp_path / "store.db"
    with Store(path) as store:  # its log is there while it is open
        store.add(*(record(i) for i in range(COUNT)))
        copy = tmp_path / "copy.db"
        copy.write_bytes(bytes(16) + path.read_bytes()[16:])
        log_of(copy).write_bytes(log_of(path).read_bytes())
        expected = list(map(content, store.records()))
    assert recover(copy, tmp_path / "new.db") == (COUNT, [])
    assert contents(tmp_path / "new.db") == expected


def test_what_is_lost_is_counted(path, tmp_path, written):
    execute(path, "UPDATE cell SET seconds = 9 WHERE id IN (5, 9)")
    assert recover(path, tmp_path / "new.db") == (COUNT + 1, [5, 9])
    found = contents(tmp_path / "new.db")
    assert found == [each for i, each in enumerate(written[1], start=1) if i not in (5, 9)]
    with Store(tmp_path / "new.db") as store:
        assert len(store) == COUNT - 2


def test_recovering_overwrites_nothing(path, tmp_path):
    (tmp_path / "new.db").write_text("precious")
    with pytest.raises(StoreError, match=r"new.db exists already; name a file that does not"):
        recover(path, tmp_path / "new.db")
    with pytest.raises(StoreError, match=r"absent.db does not exist; check the path of the damaged store"):
        recover(tmp_path / "absent.db", tmp_path / "newer.db")
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreError, match=r"empty.db has no record that can be read"):
        recover(tmp_path / "empty.db", tmp_path / "newer.db")
    assert (tmp_path / "new.db").read_text() == "precious"
    assert not (tmp_path / "newer.db").exists()
