"""The command: what it lists, shows, exports, verifies and recovers, and what it says of mistakes."""

import csv
import json
import math
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ntkcheck.measurement import Measurement
from ntkcheck.stats import Estimate
from ntkcheck.store import Record, Store, key_of, provenance, random_key, reference, seed_of
from ntkcheck.store.__main__ import app
from tests.store import CURVE, NUMBER, measures, record

LONG = "ж" * 150  # more than a narrow terminal has columns


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Store("ntkcheck.db") as store:
        store.add(
            record(parameters={"depth": 3, "name": "zca", "rate": math.nan, "n": 7}),
            record(parameters={"depth": 4.5, "name": "[red]", "function": measures.twice, "code": [1, 2]}),
            record(
                parameters={"depth": 5, "name": LONG},
                failure="ValueError: broke down (at file.py:3)",
                function="other:f",
            ),
        )
        store.replace(
            record(parameters={"depth": 4.5, "name": "[red]", "function": measures.twice, "code": [1, 2]}, seed=17)
        )
    return tmp_path / "ntkcheck.db"


def command(*arguments, code=0):
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def keys(*arguments):
    return [
        line.split()[1]
        for line in command("ls", *arguments).stdout.splitlines()
        if "tests.store" in line or "other:f" in line
    ]


def prefix(i):
    (found,) = [
        key for key in keys() if json.loads(command("show", key, "--json").stdout)[0]["parameters"]["depth"] == i
    ]
    return found


def measured(i):
    seed = seed_of(key_of(reference(measures.drawn), {"i": i}))
    found = measures.drawn(random_key(seed), i)
    return Record(
        reference(measures.drawn), {"i": i}, found, None, seed, "", 0.0, provenance(reference(measures.drawn))
    )


def test_records_are_listed_whole_and_the_newest_last(path):
    shown = command("ls").stdout
    assert shown.count("ж") == len(LONG)
    for text in (
        "depth=4.5",
        "name=[red]",
        "function=tests.store.measures:twice",
        "code=[1, 2]",
        "rate=nan",
        "growth, correlation",
    ):
        assert text in shown
    assert "failed: ValueError: broke down (at file.py:3)" in shown
    assert "…" not in shown
    assert [key[:3] for key in keys("--limit", 1)] == [keys()[-1][:3]]
    assert keys("--limit", 0) == keys() and len(keys()) == 3  # noqa: PT018
    assert "1 of 3 records" in command("ls", "--limit", 1).stderr


def test_records_are_chosen(path):
    everything = keys()
    assert keys("--failed") == keys("--function", "other:f") == [everything[1]]
    assert keys("--succeeded") == [everything[0], everything[2]]
    assert keys("--where", "depth=3.0") == keys("--where", "rate=NaN") == keys("--where", "name=zca") == [everything[0]]
    assert keys("--where", "depth=3", "--where", "name=pca") == keys("--where", 'depth="3"') == []
    assert keys("--where", "code=[1,2]") == [everything[2]]


def test_listing_as_json_has_everything(path):
    first, *_ = json.loads(command("ls", "--json").stdout)
    assert first["parameters"] == {"depth": 3, "name": "zca", "rate": "nan", "n": 7}
    assert first["measurements"][0] == {
        "quantity": "growth",
        "value": 1.5,
        "sem": 0.1,
        "n": 10,
        "method": "10 networks",
    }
    assert first["measurements"][1]["value"] == [1.0, "nan"]
    assert first["measurements"][1]["at"] == [1, 2]
    assert first.keys() >= {"key", "function", "failure", "seed", "started", "seconds", "provenance"}


def test_a_record_is_shown_with_its_former_versions(path):
    shown = command("show", prefix(4.5)).stdout
    for text in (
        "current",
        "superseded",
        "tests.store.measures:twice",
        "[red]",
        "1.50(10)",
        "10 networks",
        "dtype",
        "17",
    ):
        assert text in shown
    assert shown.index("current") < shown.index("superseded")
    current, former = json.loads(command("show", prefix(4.5), "--json").stdout)
    assert (current["seed"], former["seed"]) == (17, 0)
    assert "failed: ValueError: broke down" in command("show", prefix(5)).stdout


def test_a_key_has_to_be_one_record(path):
    assert "begins none; see `ls`" in command("show", "xyz", code=2).stderr
    assert "which begins 3 records: " in command("show", "", code=2).stderr


def test_rows_are_exported_flat(path):
    for name in ("rows.csv", "rows.parquet"):
        assert "7 rows in" in command("export", name).stderr
    with open("rows.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:9] == [
        "key",
        "function",
        "depth",
        "name",
        "rate",
        "parameters.n",
        "parameters.function",
        "parameters.code",
        "quantity",
    ]
    found = pd.DataFrame(rows, columns=header)
    assert list(found["value"]) == ["1.5", "1.0", "nan", "", "1.5", "1.0", "nan"]
    assert list(found["sem"]) == ["0.1", "0.0", "inf", "", "0.1", "0.0", "inf"]
    assert list(found["at"]) == ["", "1", "2", "", "", "1", "2"]
    assert list(found["rate"]) == ["nan"] * 3 + [""] * 4
    assert found["parameters.code"][6] == "[1, 2]"
    assert found["parameters.function"][6] == "tests.store.measures:twice"
    assert found["failure"][3].startswith("ValueError: broke down")
    again = pd.read_parquet("rows.parquet")
    assert list(again.columns) == header
    assert again["depth"].dtype == again["value"].dtype == np.float64
    np.testing.assert_array_equal(again["value"], [1.5, 1.0, math.nan, math.nan, 1.5, 1.0, math.nan])
    assert list(again["quantity"].dropna()) == [NUMBER.quantity, CURVE.quantity, CURVE.quantity] * 2


def test_a_measured_nan_is_told_from_none_in_parquet(path):
    import pyarrow.parquet

    command("export", "rows.parquet")
    assert (
        pyarrow.parquet.read_table("rows.parquet")["value"].is_null().to_pylist() == [False] * 3 + [True] + [False] * 3
    )


def test_parameters_of_several_kinds_are_exported_as_text(path):
    with Store(path) as store:
        store.add(*(record(parameters={"mixed": value, "big": 2**70}) for value in (1, "1", None, True, [1])))
    command("export", "rows.parquet")
    found = pd.read_parquet("rows.parquet").drop_duplicates("key")
    assert list(found["mixed"][-5:].fillna("")) == ["1", '"1"', "", "true", "[1]"]
    assert list(found["big"][-5:]) == [str(2**70)] * 5


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("rows.txt", "`file` must end in .csv, .parquet, .jsonl, .jsonl.gz, got rows.txt"),
        ("no/rows.csv", "`file` must lie in a folder that exists"),
    ],
)
def test_a_file_that_cannot_be_exported_to(path, file, message):
    assert message in command("export", file, code=2).stderr


def test_verification_measures_a_sample_again(tmp_path):
    path = tmp_path / "store.db"
    with Store(path) as store:
        store.add(*(measured(i) for i in range(4)), record(function="gone.module:f"))
    found = command("verify", "--store", path, "--sample", 10).stderr
    assert "5 records: 0 problems" in found
    assert found.count("agrees bit by bit") == 4
    assert "not checked 1 of gone.module:f: cannot be measured again" in found
    assert command("verify", "--store", path, "--sample", 1).stderr.count("holds") == 1
    with Store(path) as store:
        made = measured(9)
        wrong = Measurement("number", Estimate(made.find("number").value + 1e-9, 0.0, 0), "drawn")
        store.add(record(9, measurements=(wrong, *made.measurements[1:]), provenance=made.provenance, seed=made.seed))
    found = command("verify", "--store", path, "--sample", 10, code=1).stderr
    assert found.count("does not hold") == 1
    assert "number was" in found
    with Store(path) as store:
        store.replace(replace(made, seconds=121.0))
    again = ("verify", "--store", path, "--sample", 10)
    assert "not checked 1 of tests.store.measures:drawn: took longer than 120 s" in command(*again).stderr
    found = command(*again, "--at-most", 1000).stderr
    assert "code, versions and device); it took 121 s when it was measured" in found
    assert "does not hold" not in found


def test_verification_finds_what_was_changed_by_hand(path):
    assert "3 records: 0 problems" in command("verify", "--sample", 0).stderr
    connection = sqlite3.connect(path)
    connection.execute("UPDATE measurement SET value = 1.25 WHERE cell = 1 AND quantity = 'growth'")
    connection.commit()
    connection.close()
    found = command("verify", code=1).stderr
    assert "does not hold record 1 is not as it was written: tests.store.measures:drawn at" in found
    assert "quantities: growth, correlation" in found


def test_a_damaged_store_is_recovered(path):
    content = path.read_bytes()
    path.write_bytes(bytes(100) + content[100:])
    assert "recover" in command("ls", code=2).stderr
    assert "4 records in new.db; at least 0 lost" in command("recover", path, "new.db").stderr
    assert len(keys("--store", "new.db")) == 3
    assert "new.db exists already" in command("recover", path, "new.db", code=2).stderr


def test_mistakes_are_told_without_a_traceback(tmp_path, path):
    assert "error: absent.db does not exist; check the path" in command("ls", "--store", "absent.db", code=2).stderr
    assert not (tmp_path / "absent.db").exists()
    assert "`where` must have the form name=value, got 'depth'" in command("ls", "--where", "depth", code=2).stderr


def test_the_module_runs_and_takes_the_store_from_the_environment(path):
    environment = os.environ | {"NTKCHECK_STORE": str(path)}
    line = [sys.executable, "-m", "ntkcheck.store", "ls", "--json"]
    found = subprocess.run(line, env=environment, cwd="/", capture_output=True, text=True, check=True)
    assert len(json.loads(found.stdout)) == 3
    assert found.stderr == ""
