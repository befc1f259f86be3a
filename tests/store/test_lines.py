import gzip

import numpy as np
import pytest
from typer.testing import CliRunner

from ntkcheck.measurement import Measurement, Series
from ntkcheck.stats import Estimate
from ntkcheck.store import Store
from ntkcheck.store.__main__ import app
from ntkcheck.store.lines import read, write
from ntkcheck.store.rows import encode
from ntkcheck.sweep import measure_cell
from tests.store.measures import drawn


@pytest.fixture
def records():
    odd = measure_cell(drawn, {"i": 1})
    single = np.array([0.1, np.inf, -0.0], np.float32)
    found = Measurement("odd", Series(single, np.array([np.nan, 0, 1]), 3, np.arange(3)), "made up")
    scalar = Measurement("not finite", Estimate(float("nan"), float("inf"), 2), "made up")
    return [odd, type(odd)(**{**vars_of(odd), "parameters": {"i": (1, 2.5, None)}, "measurements": (found, scalar)})]


def vars_of(record):
    names = ("function", "parameters", "measurements", "failure", "seed", "started", "seconds", "provenance")
    return {name: getattr(record, name) for name in names}


@pytest.mark.parametrize("name", ["records.jsonl", "records.jsonl.gz"])
def test_records_come_back_as_they_were(tmp_path, records, name):
    file = tmp_path / name
    assert write(records, file) == 2
    back = read(file)
    assert [encode(record) for record in back] == [encode(record) for record in records]
    content = file.read_bytes()
    write(back, file)
    assert file.read_bytes() == content


def test_a_changed_number_is_found(tmp_path, records):
    file = tmp_path / "records.jsonl"
    write(records, file)
    file.write_text(file.read_text().replace('"seed":', '"seed":1', 1))
    with pytest.raises(ValueError, match=r"line 1: its checksum does not hold"):
        read(file)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.jsonl.gz", gzip.compress(b"{}\n" * 50)[:-9]),
        ("no.jsonl.gz", b"nothing compressed"),
        ("other.jsonl", b'{"function": 1}\n'),
        ("binary.jsonl", b"\xff\xfe\x00"),
        ("list.jsonl", b"[1, 2]\n"),
    ],
)
def test_what_holds_no_records_is_told(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(ValueError, match="`file` must hold records as `store export` writes them"):
        read(file)


def test_records_travel_from_store_to_store(tmp_path, records):
    with Store(tmp_path / "a.db") as store:
        store.add(*records)
    file = str(tmp_path / "records.jsonl.gz")
    for arguments, told in (
        (["export", file, "--store", tmp_path / "a.db"], "2 records in"),
        (["import", file, "--store", tmp_path / "b.db"], "2 of 2 records were new"),
        (["import", file, "--store", tmp_path / "b.db"], "0 of 2 records were new"),
    ):
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        assert result.exit_code == 0
        assert told in result.stderr
    with Store(tmp_path / "b.db", read_only=True) as store:
        assert {record.key for record in store.records()} == {record.key for record in records}
    missing = CliRunner().invoke(app, ["import", str(tmp_path / "none.jsonl"), "--store", str(tmp_path / "b.db")])
    assert missing.exit_code == 2
    assert "`file` must be a file of records" in missing.stderr
