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

import pytest
from typer.testing import CliRunner

from ntkcheck.regime import Result, __main__, theory
from ntkcheck.regime.__main__ import CLAIMS
from ntkcheck.store import Store, StoreError
from tests.regime import OPTIONS, OWN_BATCH_NORM, experiment, numbers_and_curves

FILES = {"regime.json", "measurements.csv", "regime.svg", "regime.png"}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    """The store is in the working folder unless said otherwise."""
    monkeypatch.chdir(tmp_path)


def command(*arguments):
    """The command in this process: same functions, compilations shared."""
    return CliRunner().invoke(__main__.app, [*OPTIONS, *map(str, arguments)])


def started(folder, *arguments):
    line = [sys.executable, "-m", "ntkcheck.regime", *OPTIONS, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment
    )


def without_times(text):
    return re.sub(r'"times": \{.*?\}\s*\}', "", text, flags=re.DOTALL)


@pytest.fixture
def few_claims(monkeypatch):
    """Two claims only, where the claims are not what is looked at."""
    monkeypatch.setattr(__main__, "CLAIMS", ("MN-3", "MN-7"))


@pytest.fixture(scope="module")
def piped(tmp_path_factory):
    """A whole run in a process of its own, JSON on standard output."""
    folder = tmp_path_factory.mktemp("piped")
    arguments = ("--normalizer", "none", "--output", folder, "--json", "-", "--expect-gradient", "chaotic")
    process = started(folder.parent, *arguments)
    out, error = process.communicate(timeout=300)
    return process.returncode, out, error, folder


def test_standard_output_is_json_and_nothing_else(piped):
    _, out, _, folder = piped
    found = json.loads(out)
    assert found["complete"] is True
    assert out == (folder / "regime.json").read_text()


def test_every_claim_has_its_verdict(piped):
    found = json.loads(piped[1])["claims"]
    assert tuple(found) == CLAIMS
    for entry in found.values():
        assert entry.keys() >= {"verdict", "value", "low", "high", "reason"}
        assert entry["verdict"] in {"supported", "refuted", "qualified", "inconclusive", "untested"}
        assert entry["reason"]
        assert (entry["value"] is None) == (entry["verdict"] == "untested")
    assert found["MN-3"]["verdict"] == "refuted"
    assert found["MN-4"]["verdict"] == "untested"  # weight_mean was not asked for


def test_the_files_that_are_named_at_the_end_exist(piped):
    _, _, error, folder = piped
    named = re.search(r"results in (.*): (.*)\n", error)
    assert named[1] == str(folder)
    assert set(named[2].split(", ")) == FILES == {path.name for path in folder.iterdir()}
    rows = list(csv.DictReader(io.StringIO((folder / "measurements.csv").read_text())))
    assert len(rows) == len(json.loads((folder / "regime.json").read_text())["measurements"])


def test_another_regime_than_expected_is_said_and_is_exit_code_1(piped):
    code, _, error, _ = piped
    assert code == 1
    verdict = json.loads(piped[1])["verdicts"]["none"]["gradient"]["verdict"]
    assert f"not as expected none: gradient is {verdict}, expected chaotic" in error


def test_the_same_seed_gives_the_same_document_but_for_times(piped, tmp_path):
    file = tmp_path / "new" / "copy.json"
    verdict = json.loads(piped[1])["verdicts"]["none"]["gradient"]["verdict"]
    arguments = ("--normalizer", "none", "--output", tmp_path, "--json", file, "--expect-gradient", verdict)
    found = command(*arguments)
    assert found.exit_code == 0
    assert without_times(file.read_text()) == without_times(piped[1])
    assert file.read_text() == (tmp_path / "regime.json").read_text()
    assert "squared gradient, growth per layer" in found.stdout  # tables, because the JSON went to a file
    for id in CLAIMS:
        assert id in found.stdout


def test_another_seed_gives_other_numbers(piped, tmp_path, few_claims):
    assert command("--normalizer", "none", "--output", tmp_path, "--seed", 1).exit_code == 0
    found = json.loads((tmp_path / "regime.json").read_text())
    before = {(m["subject"], m["quantity"], m["width"]): m["value"] for m in json.loads(piped[1])["measurements"]}
    sampled = [m for m in found["measurements"] if m["n"] and m["quantity"] != "share_near_zero"]
    assert len(sampled) >= 8
    assert all(m["value"] != before[m["subject"], m["quantity"], m["width"]] for m in sampled)
    assert found["settings"]["seed"] == 1


def test_a_normaliser_of_ones_own_is_measured_as_the_built_in_one_would_be(tmp_path, few_claims):
    (tmp_path / "mine.py").write_text(OWN_BATCH_NORM)
    spec = f"{tmp_path}/mine.py:own_batch_norm"
    assert command("--normalizer", spec, "--output", tmp_path / "out").exit_code == 0
    found = json.loads((tmp_path / "out" / "regime.json").read_text())
    assert found["settings"]["normalizers"] == [spec]
    exact, _ = numbers_and_curves(theory.measure(experiment(normalizers=("batch_norm",)), "batch_norm"))
    truth = {quantity: m.estimate.value for quantity, m in exact.items()}
    sampled = {m["quantity"]: m for m in found["measurements"] if m["width"] == "infinite" and m["n"]}
    networks = {m["quantity"]: m for m in found["measurements"] if m["width"] == "finite"}
    for quantity in ("gradient_growth", "correlation_slope", "ntk_off_diagonal"):
        # Four replicates: four standard errors are exceeded once in 40 by Student's t; six, once in 100. The sampled layers are
        # not linear in the NNGP: a bias of the order of replicates / samples, 4 / 256.
        error = 6 * sampled[quantity]["sem"] + 4 / 256
        assert abs(sampled[quantity]["value"] - truth[quantity]) < error
        assert "tangent Monte Carlo, 256 neurons a layer in 4 independent propagations" in sampled[quantity]["method"]
    # Power: against the population's rate, and without the normaliser.
    gradient = sampled["gradient_growth"]
    assert abs(gradient["value"] - 1) > 6 * gradient["sem"] + 4 / 256
    # Width 24: four standard errors and a bias of 10 / width.
    assert abs(networks["gradient_growth"]["value"] - truth["gradient_growth"]) < (
        4 * networks["gradient_growth"]["sem"] + 10 / 24
    )


def test_an_interruption_leaves_a_readable_result_says_where_and_is_gone_on_from(tmp_path):
    process, deadline = (
        started(tmp_path, "--output", tmp_path / "out", "--normalizer", "none,weight_mean"),
        time.monotonic() + 300,
    )
    while stored_cells(tmp_path / "ntkcheck.db") < 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    said = re.search(rf"interrupted with (\d) of 4 measured; they are in the store, and in {tmp_path}/out", error)
    assert "Traceback" not in error
    found = json.loads((tmp_path / "out" / "regime.json").read_text())
    assert found["complete"] is False
    assert len(found["times"]["started"]) == int(said[1]) >= 1
    assert command("--output", tmp_path / "out", "--normalizer", "none,weight_mean").exit_code == 0
    after = json.loads((tmp_path / "out" / "regime.json").read_text())
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
        (["--depth", 1], r"`depth` must be a whole number, at least 2 .*, got 1"),
        (["--normalizer", "none,batch_morn"], "got 'batch_morn'; did you mean 'batch_norm'"),
        (["--normalizer", "zca", "--group-size", 5], "`group_size` must divide the number of features, got 5 for 24"),
        (
            ["--normalizer", "nowhere.py:f"],
            r"`normalizer` must name a Python file, got 'nowhere\.py', which is no file",
        ),
        (["--data", "nowhere.npy"], r"`data` must name what exists, got nowhere\.npy"),
        (["--expect", "chaos"], "`expect` must be one of ordered, critical, .*, got 'chaos'; did you mean 'chaotic'"),
        (["--expect-gradient", "x"], "`expect_gradient` must be one of ordered, .*, got 'x'; choose one of these"),
        (["--sigma-b", "nan"], "`sigma_b` must be a finite number, 0 or above, got nan"),
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
    found = command("--output", tmp_path, *arguments)
    assert found.exit_code == 2
    assert found.stdout == ""
    assert re.search(rf"^error: .*{message}", found.stderr)
    assert not list(tmp_path.iterdir())


def test_a_quick_run_and_names_with_commas_are_understood(monkeypatch):
    asked = []

    def nothing(experiment, *_):
        asked.append(experiment.settings)
        return Result(experiment, {})

    monkeypatch.setattr(__main__, "run", nothing)
    monkeypatch.setattr(__main__, "_show", lambda *_: None)
    monkeypatch.setattr(__main__, "_judged", lambda *_: {})
    given = ("--normalizer", "none, weight_mean", "--normalizer", "layer_norm", "--samples", 1024, "--quick")
    assert command(*given).exit_code == 0
    assert command().exit_code == 0
    assert asked[0].normalizers == ("none", "weight_mean", "layer_norm")
    assert asked[0].samples < 1024
    assert asked[1].normalizers == __main__.DEFAULT_NORMALIZERS
