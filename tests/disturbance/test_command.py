"""The command: what it prints, writes and returns, for good input, bad input and an interruption."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ntkcheck.disturbance import Result
from ntkcheck.snd import __main__
from ntkcheck.snd.__main__ import CLAIMS
from ntkcheck.store import Store, StoreError
from tests.disturbance import OPTIONS

FILES = {"snd.json", "measurements.csv", "snd.svg", "snd.png"}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    """The store is in the working folder unless said otherwise."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def no_claims(monkeypatch):
    """No claim checked, where the claims are not what is looked at."""
    monkeypatch.setattr(__main__, "FAST_CLAIMS", set())


def command(*arguments):
    """The command in this process: compilations shared."""
    return CliRunner().invoke(__main__.app, [*OPTIONS, *map(str, arguments)])


def started(folder, *arguments):
    line = [sys.executable, "-m", "ntkcheck.snd", *OPTIONS, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment
    )


def without_times(text):
    return re.sub(r'"times": \{.*?\}\s*\}', "", text, flags=re.DOTALL)


@pytest.fixture(scope="module")
def piped(tmp_path_factory):
    """A whole run in a process of its own, JSON on standard output."""
    folder = tmp_path_factory.mktemp("piped")
    process = started(folder.parent, "--quick", "--output", folder, "--json", "-")
    out, error = process.communicate(timeout=600)
    return process.returncode, out, error, folder


def test_standard_output_is_json_and_nothing_else(piped):
    code, out, _, folder = piped
    assert code == 0
    assert json.loads(out)["complete"] is True
    assert out == (folder / "snd.json").read_text()


def test_every_claim_has_its_verdict(piped):
    found = json.loads(piped[1])["claims"]
    assert set(found) == set(CLAIMS)
    for entry in found.values():
        assert entry.keys() >= {"verdict", "value", "low", "high", "reason"}
        assert entry["verdict"] in {"supported", "refuted", "qualified", "inconclusive", "untested"}
        assert (entry["value"] is None) == (entry["verdict"] == "untested")
    assert "claims check IN-3` tests it" in found["IN-3"]["reason"]


def test_the_files_that_are_named_at_the_end_exist(piped):
    _, _, error, folder = piped
    named = re.search(r"results in (.*): (.*)\n", error)
    assert named[1] == str(folder)
    assert set(named[2].split(", ")) == FILES == {path.name for path in folder.iterdir()}
    rows = list(csv.DictReader(io.StringIO((folder / "measurements.csv").read_text())))
    assert len(rows) == len(json.loads((folder / "snd.json").read_text())["measurements"])


def test_the_same_seed_gives_the_same_document_but_for_times_and_another_seed_others(piped, tmp_path, no_claims):
    file = tmp_path / "new" / "copy.json"
    found = command("--output", tmp_path / "out", "--json", file, "--draws", 6)
    assert found.exit_code == 0
    assert without_times(file.read_text()) == without_times(piped[1])
    assert "SND on gaussian" in found.stdout  # tables, because the JSON went to a file
    for id in CLAIMS:
        assert id in found.stdout
    assert command("--output", tmp_path / "other", "--seed", 1).exit_code == 0
    values = [
        {
            (m["quantity"], m["batch_size"]): m["value"]
            for m in json.loads(text)["measurements"]
            if m["quantity"] == "snd"
        }
        for text in (piped[1], (tmp_path / "other" / "snd.json").read_text())
    ]
    assert all(values[0][key] != values[1][key] for key in values[0])


def test_fast_claims_are_checked(tmp_path, monkeypatch):
    monkeypatch.setattr(__main__, "FAST_CLAIMS", {"IN-10"})
    assert command("--output", tmp_path / "out").exit_code == 0
    found = json.loads((tmp_path / "out" / "snd.json").read_text())["claims"]
    assert found["IN-10"]["verdict"] == "supported"
    assert found["IN-4"]["verdict"] == "untested"


def test_an_interruption_leaves_a_readable_result_says_where_and_is_gone_on_from(tmp_path, no_claims):
    arguments = ("--output", tmp_path / "out", "--normalizer", "layer_norm")
    process, deadline = started(tmp_path, *arguments), time.monotonic() + 300
    while stored_cells(tmp_path / "ntkcheck.db") < 1 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert out == ""
    said = re.search(rf"interrupted with (\d) of 6 measured; they are in the store, and in {tmp_path}/out", error)
    assert "Traceback" not in error
    found = json.loads((tmp_path / "out" / "snd.json").read_text())
    assert found["complete"] is False
    assert len(found["times"]["started"]) == int(said[1]) >= 1
    assert command(*arguments).exit_code == 0
    after = json.loads((tmp_path / "out" / "snd.json").read_text())
    assert after["complete"] is True
    assert after["times"]["started"].items() >= found["times"]["started"].items()  # not measured a second time


def stored_cells(path):
    try:
        with Store(path, read_only=True) as store:
            return len(store)
    except StoreError:  # it is being made
        return 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch-size", 1], r"`batch_size` must be a whole number, at least 2 .*, got 1"),
        (
            ["--batch-size", "8,many"],
            "`batch_size` must be whole numbers separated by commas, got '8,many'; for example",
        ),
        (
            ["--batch-size", 121],
            "gaussian: `population` must hold at least `batch_size` samples, got 120 for batches of 121",
        ),
        (
            ["--normalizer", "zca", "--group-size", 4, "--batch-size", 4],
            "`zca` needs more samples in a batch than features in a group, got a `batch_size` of 4 for a `group_size` of 4",
        ),
        (
            ["--normalizer", "zca", "--group-size", 3],
            "`group_size` must divide the number of features, got 3 for 4 features",
        ),
        (["--normalizer", "zca", "--groups", 3], "`groups` must divide the number of features, got 3 for 4 features"),
        (["--iterations", 0], "`iterations` must be a whole number, at least 1 .*, got 0"),
        (["--normalizer", "batch_morn"], "got 'batch_morn'; did you mean 'batch_norm'"),
        (
            ["--normalizer", "nowhere.py:f"],
            r"`normalizer` must name a Python file, got 'nowhere\.py', which is no file",
        ),
        (["--population", "nowhere.npy"], r"`population` must name what exists, got nowhere\.npy"),
        (["--design", "x"], "`design` must be one of shared, anchored, got 'x'"),
        (
            ["--output", "/dev/null/results"],
            "`output` must be a folder that can be written to, got '/dev/null/results'",
        ),
        (["--json", "/dev/null/x.json"], "`json` must be a file that can be written, got '/dev/null/x.json'"),
        (["--store", "/dev/null/x.db"], "/dev/null/x.db cannot be made: /dev/null is no folder"),
    ],
)
def test_bad_input_is_exit_code_2_before_anything_is_measured(tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr(__main__, "run", lambda *_, **__: pytest.fail("measured"))
    replaced = {"--population": "gaussian", "--normalizer": "batch_norm", "--batch-size": "4,8,16", "--iterations": "3"}
    kept = [part for name, value in replaced.items() if name not in arguments for part in (name, value)]
    group = [] if {"--group-size", "--groups"} & set(arguments) else ["--group-size", "2"]
    options = [*kept, *group, "--features", "4", "--samples", "120", "--output", str(tmp_path / "out")]
    found = CliRunner().invoke(__main__.app, [*options, *map(str, arguments)])
    assert found.exit_code == 2
    assert found.stdout == ""
    assert re.search(rf"^error: .*{message}", found.stderr)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:, 2].fill(1.0), "`population` must vary in every feature for `batch_norm`, got 1 constant ones"),
        (lambda x: x[3:4].fill(np.nan), "`population` must be finite, got nan in sample 3"),
    ],
)
def test_bad_samples_are_exit_code_2(tmp_path, change, message):
    x = np.random.default_rng(0).standard_normal((50, 4))
    change(x)
    np.save(tmp_path / "mine.npy", x)
    found = CliRunner().invoke(
        __main__.app, ["--population", "mine.npy", "--normalizer", "batch_norm", "--batch-size", "8"]
    )
    assert found.exit_code == 2
    assert re.search(rf"^error: .*{message}", found.stderr)


def test_lists_are_given_by_commas_or_repetition_and_quick_keeps_what_is_given(monkeypatch):
    asked = []

    def nothing(experiment, *_):
        asked.append(experiment.settings)
        return Result(experiment, {})

    monkeypatch.setattr(__main__, "run", nothing)
    monkeypatch.setattr(__main__, "_show", lambda *_: None)
    monkeypatch.setattr(__main__, "_judged", lambda *_: {})
    given = ("--normalizer", "layer_norm, iter_norm", "--batch-size", 32, "--groups", "1,2", "--quick", "--draws", 50)
    invoked = CliRunner().invoke(__main__.app, [*OPTIONS[:4], *map(str, given), "--features", "4", "--samples", "120"])
    assert invoked.exit_code == 0
    assert asked[0].normalizers == ("batch_norm", "layer_norm", "iter_norm")
    assert (asked[0].batch_sizes, asked[0].groups, asked[0].group_sizes) == ((32,), (1, 2), ())
    assert asked[0].draws < 50
