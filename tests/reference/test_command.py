"""The command: what it prints, writes and returns, for good input and bad input."""

import csv
import json

import jax
import pytest
from typer.testing import CliRunner

from ntkcheck.reference import __main__, ntk
from ntkcheck.sweep import cell

OPTIONS = ("--model", "squeezenet1_0,vgg11", "--batch", "256", "--what", "memory")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    """The store is in the working folder unless said otherwise."""
    monkeypatch.chdir(tmp_path)


def command(*arguments):
    return CliRunner().invoke(__main__.app, list(map(str, arguments)))


def test_standard_output_is_json_and_the_files_that_are_named_exist(tmp_path):
    found = command(*OPTIONS, "--json", "-", "--output", tmp_path / "out")
    assert found.exit_code == 0
    document = json.loads(found.stdout)
    assert document["complete"] is True
    assert found.stdout == (tmp_path / "out" / "reference.json").read_text()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("reference.json", "measurements.csv", "saved_residuals.csv")
    }
    assert [row["model"] for row in document["saved_residuals"]] == ["squeezenet1_0", "vgg11"]


def test_the_table_of_savings_has_its_command_and_device_and_the_printed_figures(tmp_path):
    assert command(*OPTIONS, "--output", tmp_path).exit_code == 0
    lines = (tmp_path / "saved_residuals.csv").read_text().splitlines()
    assert lines[0].startswith("# command: python -m ntkcheck.reference")
    assert "device " in lines[1]
    assert "jax " in lines[1]
    rows = {row["model"]: row for row in csv.DictReader(line for line in lines if not line.startswith("#"))}
    assert rows["vgg11"]["printed_batch_norm_MB"] == "2971"
    assert rows["squeezenet1_0"]["printed_ratio"] == str(round(2693 / 3687, 4))
    for row in rows.values():
        kept = [float(row[f"saved_by_fused_layers_{name}_MB"]) for name in ("batch_norm", "mimic_norm")]
        # Rounded to 0.1 MB, of several hundred.
        assert float(row["saved_by_fused_layers_ratio"]) == pytest.approx(kept[1] / kept[0], abs=1e-3)


def test_a_second_run_measures_nothing(tmp_path, monkeypatch):
    assert command(*OPTIONS, "--output", tmp_path).exit_code == 0
    before = json.loads((tmp_path / "reference.json").read_text())
    monkeypatch.setattr(cell, "measure_cell", pytest.fail)
    assert command(*OPTIONS, "--output", tmp_path).exit_code == 0
    after = json.loads((tmp_path / "reference.json").read_text())
    assert after["times"] == before["times"]
    assert after["measurements"] == before["measurements"]


def test_at_another_batch_there_are_no_printed_figures_to_compare(tmp_path):
    assert command("--model", "vgg11", "--what", "memory", "--batch", 8, "--output", tmp_path).exit_code == 0
    (row,) = json.loads((tmp_path / "reference.json").read_text())["saved_residuals"]
    assert row["printed_ratio"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "resnet8"), "`model` must be one of"),
        (("--normalizer", "batchnorm"), "did you mean 'batch_norm'"),
        (("--batch", 1), "`batch` must be at least 2 for batch_norm"),
        (("--image", 4), "`image` must be at least"),
        (("--memory", "lots"), "`memory` must be a number of bytes"),
        (("--what", "memory", "--json", "/dev/null/x"), "`json` must be a file that can be written"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message):
    found = command(*arguments)
    assert found.exit_code == 2
    assert message in " ".join(found.stderr.split())
    assert "Traceback" not in found.stderr


@pytest.mark.skipif(jax.devices()[0].platform != "cpu", reason="there is a GPU")
def test_a_gpu_that_is_absent_is_exit_code_2():
    found = command("--what", "memory", "--device", "gpu")
    assert found.exit_code == 2
    assert "`device` must be one that JAX finds, got 'gpu'" in " ".join(found.stderr.split())


def broken(_, **parameters):
    raise ValueError("`memory` must be at least 3 GB")


def test_a_cell_that_fails_is_said_kept_and_exit_code_1(tmp_path, monkeypatch):
    broken.__module__, broken.__qualname__ = ntk.__name__, "measure"
    monkeypatch.setattr(ntk, "measure", broken)
    found = command(
        "--model", "vgg11", "--what", "ntk,memory", "--data", "gaussian", "--batch", 4, "--output", tmp_path
    )
    assert found.exit_code == 1
    assert "failed vgg11 (cifar), batch_norm, ntk, one logit: ValueError: `memory` must be at least 3 GB" in " ".join(
        found.stderr.split()
    )
    document = json.loads((tmp_path / "reference.json").read_text())
    assert document["complete"] is False
    assert len(document["failures"]) == 4
    assert len(document["saved_residuals"]) == 1
