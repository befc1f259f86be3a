"""The command: what it prints, writes and returns, for good input and bad input."""

import csv
import json

import jax
import numpy as np
import pytest
from typer.testing import CliRunner

from ntkcheck.sweep import cell as sweep_cell
from ntkcheck.training import __main__, experiment, outcome
from ntkcheck.training.experiment import prepare
from ntkcheck.training.settings import Settings

OPTIONS = ("--normalizer", "batch_norm,none", "--steps", 3, "--batch", 16, "--seeds", 2, "--population", 32)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    """The store is in the working folder unless said otherwise."""
    monkeypatch.chdir(tmp_path)


def command(*arguments):
    return CliRunner().invoke(__main__.app, list(map(str, arguments)))


def test_standard_output_is_json_the_curves_are_in_the_table_and_a_second_run_measures_nothing(tmp_path, monkeypatch):
    found = command(*OPTIONS, "--json", "-", "--output", tmp_path / "out")
    assert found.exit_code == 0, found.stderr
    document = json.loads(found.stdout)
    assert document["complete"] is True
    assert found.stdout == (tmp_path / "out" / "training.json").read_text()
    of_none = {row["quantity"]: row for row in document["trainings"] if row["normalizer"] == "none"}
    assert of_none["test_accuracy"]["n"] == 2, "over seeds"
    assert "scale_displacement" not in of_none
    lines = (tmp_path / "out" / "training.csv").read_text().splitlines()
    assert lines[0].startswith("# command: python -m ntkcheck.training")
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    losses = [row for row in rows if row["quantity"] == "training_loss"]
    assert len(losses) == 2 * 2 * 3  # normalisers, seeds, steps
    monkeypatch.setattr(sweep_cell, "measure_cell", pytest.fail)
    again = command(*OPTIONS, "--output", tmp_path / "out")
    assert again.exit_code == 0
    assert "test accuracy" in again.stdout
    assert json.loads((tmp_path / "out" / "training.json").read_text())["times"] == document["times"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "resnet8"), "`model` must be one of"),
        (("--normalizer", "batchnorm"), "did you mean 'batch_norm'"),
        (("--inputs", "whitened"), "`inputs` must be one of standardized, raw, batch_norm"),
        (("--normalizer", "none,none"), "`normalizer` must give every value once"),
        (("--learning-rate", "fast"), "`learning_rate` must be numbers, got fast"),
        (("--learning-rate", "0.1,-1"), "`learning_rate` must be a finite number above 0, got -1.0"),
        (("--drops", "0.5,2"), "`drops` must be at least 0 and below 1, got 2.0"),
        (("--momentum", 1), "`momentum` must be at least 0 and below 1"),
        (("--weight-decay", "nan"), "`weight_decay` must be a finite number, at least 0"),
        (("--epochs", 2, "--steps", 3), "`epochs` must be left out where `steps` is given"),
        (("--steps", 0), "`steps` must be a whole number, at least 1"),
        (("--batch", 2000), "`batch` must be at most the 1438 training images"),
        (("--batch", 1), "`batch` must be at least 2"),
        (("--image", 4), "`image` must be the side of images of at least 8 x 8"),
        (("--model", "vgg11", "--image", 64), "`image` must be the side of images of 32 x 32"),
        (("--model", "vgg11", "--normalizer", "fixup"), "`normalizer` fixup needs residual branches"),
        (("--normalizer", "batch_norm", "--group-size", 4), "`group_size` must be left out"),
        (("--data", "absent.npz"), "`data` must name what exists"),
        (("--data", "unlabelled.npz"), "`data` must name data with labels"),
        (("--json", "/dev/null/x", "--steps", 1), "`json` must be a file that can be written"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message):
    np.savez("unlabelled.npz", x=np.zeros((4, 4)))
    found = command(*arguments)
    assert found.exit_code == 2
    assert message in " ".join(found.stderr.split())
    assert "Traceback" not in found.stderr


@pytest.mark.skipif(jax.devices()[0].platform != "cpu", reason="there is a GPU")
def test_a_gpu_that_is_absent_is_exit_code_2():
    found = command("--device", "gpu")
    assert found.exit_code == 2
    assert "`device` must be one that JAX finds, got 'gpu'" in " ".join(found.stderr.split())


def test_epochs_are_whole_passes_through_full_batches():
    (cell,) = prepare(Settings(epochs=3, batch=100)).cells
    assert cell["steps"] == 3 * 14
    assert prepare(Settings(batch=100)).cells[0]["steps"] == experiment.EPOCHS * 14


def test_every_seed_and_rate_is_a_cell_of_its_own():
    cells = prepare(Settings(learning_rates=(0.1, 1.0), seeds=3, seed=5)).cells
    assert [(c["learning_rate"], c["seed"]) for c in cells] == [(r, s) for r in (0.1, 1.0) for s in (5, 6, 7)]


def test_a_training_that_fails_is_said_kept_and_exit_code_1(tmp_path, monkeypatch):
    def broken(*_):
        raise ValueError("out of luck")

    monkeypatch.setattr(outcome, "load_checked", broken)
    found = command("--output", tmp_path)
    assert found.exit_code == 1, found.stderr
    expected = "failed cnn3, batch_norm, standardized inputs, learning rate 0.1, seed 0: ValueError: out of luck"
    assert expected in " ".join(found.stderr.split())
    assert json.loads((tmp_path / "training.json").read_text())["complete"] is False
