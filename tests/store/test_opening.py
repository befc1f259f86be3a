"""Files that are no store, of other versions, forbidden, or full: one sentence with a remedy, and nothing is changed."""

import sqlite3

import pytest

from ntkcheck.store import Store, StoreError, schema
from ntkcheck.store.rows import encode
from tests.store import content, record

WRITTEN = [record(i) for i in range(3)]


@pytest.fixture
def path(tmp_path):
    with Store(tmp_path / "store.db") as store:
        store.add(*WRITTEN)
    return tmp_path / "store.db"


def execute(path, *statements):
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def refusal(path, **options):
    """The message of what must be refused, whether it is opened to write or to read; the file stays as it was."""
    before = path.read_bytes() if path.is_file() else None
    messages = []
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"store.db .*; ") as caught:
            Store(path, read_only=read_only, **options)
        messages.append(str(caught.value))
    assert (path.read_bytes() if path.is_file() else None) == before
    assert sorted(each.name for each in path.parent.glob("*")) == [path.name] * path.exists()
    return messages[0]


def test_a_correct_file_is_not_refused(path):
    for read_only in (False, True):
        with Store(path, read_only=read_only) as store:
            assert list(map(content, store.records())) == list(map(content, WRITTEN))


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(
        StoreError, match=r"missing/store.db cannot be made: .*missing is no folder; make the folder, or check the path"
    ):
        Store(tmp_path / "missing" / "store.db")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(StoreError, match=r"is a folder; name a file in it, such as .*ntkcheck.db"):
        Store(tmp_path)


def test_reading_makes_no_file(tmp_path):
    with pytest.raises(StoreError, match=r"store.db does not exist; check the path, or measure something first"):
        Store(tmp_path / "store.db", read_only=True)
    (tmp_path / "store.db").touch()
    with pytest.raises(StoreError, match=r"store.db is empty; open it once for writing"):
        Store(tmp_path / "store.db", read_only=True)
    assert (tmp_path / "store.db").read_bytes() == b""
    with Store(tmp_path / "store.db") as store:
        assert len(store) == 0


@pytest.mark.parametrize("beginning", [b"key,function\n1,2\n", b"\x00" * 8192, b"SQLite format 2\x00"])
def test_a_file_of_another_kind(tmp_path, beginning):
    (tmp_path / "store.db").write_bytes(beginning)
    assert "is not a store: it does not begin as SQLite files do; name another file" in refusal(tmp_path / "store.db")


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE cell (id)", "PRAGMA user_version = 1", "PRAGMA application_id = 7"]
)
def test_the_file_of_another_program(tmp_path, statement):
    execute(tmp_path / "store.db", statement)
    assert "is the SQLite file of another program; name another file" in refusal(tmp_path / "store.db")


def test_a_newer_version(path):
    execute(path, "PRAGMA user_version = 2")
    assert "was written by a newer ntkcheck (form 2, this one knows 1); update ntkcheck" in refusal(path)
    execute(path, "PRAGMA user_version = 1")
    test_a_correct_file_is_not_refused(path)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95, 0.995])
def test_a_truncated_file(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: 60 + int(share * (len(whole) - 60))])
    assert "is damaged (" in refusal(path)
    assert f"copy what can be read by `python -m ntkcheck.store recover {path} NEW`" in refusal(path)
    path.write_bytes(whole)
    test_a_correct_file_is_not_refused(path)


def test_a_file_that_is_locked(path):
    """Locked in this process, by other means than the store's; processes of their own are in test_faults."""
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(
        StoreError, match=r"store.db is locked by another process \(waited 0.1 s\); wait until that is done"
    ):
        Store(path, timeout=0.1)
    with Store(path, timeout=0.1, read_only=True) as store:
        assert len(store) == 3
    blocker.execute("ROLLBACK")
    with Store(path, timeout=0.1) as store:
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is locked by another process"):
            store.add(record(3))
        assert len(store) == 3
        blocker.execute("ROLLBACK")
        store.add(record(3))
        assert len(store) == 4
    blocker.close()


def test_a_full_disk(path):
    with Store(path) as store:
        (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(
            f"PRAGMA max_page_count = {pages + 2}"
        )  # where SQLite says what it says of a full disk
        with pytest.raises(
            StoreError, match="cannot be written: the disk is full; free some space and run again"
        ) as caught:
            store.add(*(record(i) for i in range(3, 100)))
        assert caught.value.__cause__.sqlite_errorname == "SQLITE_FULL"
        assert len(store) == 3
        store._connection.execute("PRAGMA max_page_count = 1000000")
        store.add(*(record(i) for i in range(3, 100)))
        assert len(store) == 100


OLDER = (
    schema.STEPS[0][0],
    "CREATE TABLE cell (id INTEGER PRIMARY KEY, key TEXT, function TEXT, parameters TEXT, failure TEXT, seed INTEGER, "
    "started TEXT, seconds REAL, provenance INTEGER, checksum TEXT)",
    schema.STEPS[0][2],
)
TO_NEWER = ("ALTER TABLE cell ADD COLUMN superseded INTEGER", *schema.STEPS[0][3:])


@pytest.fixture
def older(tmp_path, monkeypatch):
    """A file of a made-up first version, in which nothing was ever superseded; what is current now is its second version."""
    monkeypatch.setattr(schema, "STEPS", [OLDER, TO_NEWER])
    connection = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    for statement in (*OLDER, f"PRAGMA application_id = {schema.APPLICATION_ID}", "PRAGMA user_version = 1"):
        connection.execute(statement)
    row = encode(WRITTEN[0])
    connection.execute("INSERT INTO provenance VALUES (1, ?)", (row.provenance,))
    connection.execute("INSERT INTO cell VALUES (1, ?, ?, ?, ?, ?, ?, ?, 1, ?)", (row.key, *row.cell, row.checksum))
    connection.executemany(
        "INSERT INTO measurement VALUES (1, ?, ?, ?, ?, ?, ?, ?)", [(i, *m) for i, m in enumerate(row.measurements)]
    )
    connection.close()
    return tmp_path / "store.db"


def version(path):
    connection = sqlite3.connect(path)
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return found


def test_an_older_version_is_brought_up_to_date(older):
    with pytest.raises(StoreError, match=r"store.db has the older form 1 \(this one is 2\); open it once for writing"):
        Store(older, read_only=True)
    assert version(older) == 1
    for _ in range(2):
        with Store(older) as store:
            assert list(map(content, store.records())) == [content(WRITTEN[0])]
            store.replace(WRITTEN[0])
        assert version(older) == 2
    with Store(older) as store:
        assert len(list(store.records(superseded=True))) == 3


def test_an_update_that_fails_leaves_the_older_version(older, monkeypatch):
    monkeypatch.setattr(schema, "STEPS", [OLDER, (TO_NEWER[0], "CREATE INDEX wrong ON absent (id)")])
    with pytest.raises(StoreError, match=r"\(no such table: main.absent\)"):
        Store(older)
    assert version(older) == 1
    monkeypatch.setattr(schema, "STEPS", [OLDER, TO_NEWER])
    with Store(older) as store:
        assert len(store) == 1
