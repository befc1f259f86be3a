"""The committed tables of shipped records are exactly what these records give, and say what was not measured."""

import dataclasses

import pytest
from typer.testing import CliRunner

import analyses
import figures
from figures import _published
from figures.__main__ import app
from ntkcheck import published
from ntkcheck.measurement import Measurement
from ntkcheck.stats import Estimate

TABLES = ("reference", "reference_activations", "reference_curves", "training_mn9", "training_paired")


@pytest.fixture(scope="module")
def tables():
    return _published.tables()


def test_committed_tables_are_those_of_the_shipped_records(tables):
    assert tuple(tables) == TABLES
    for name in TABLES:
        assert figures.committed(name) == tables[name], name
        assert figures.command(name) == "python -m figures --published"
        assert len(tables[name]) < 1e6


def test_a_changed_record_changes_the_table(tables, monkeypatch):
    records = dict(published.records())
    record = next(each for each in records.values() if each.function == "ntkcheck.reference.program:measure")
    others = [each for each in record.measurements if each.quantity != "temporary_bytes"]
    wrong = Measurement("temporary_bytes", Estimate(1.0, 0.0, 0), "made up")
    records[record.key] = dataclasses.replace(record, measurements=(wrong, *others))
    monkeypatch.setattr(published, "records", lambda: records)
    again = _published.tables()
    assert again["reference"] != tables["reference"]
    assert again["training_mn9"] == tables["training_mn9"]


def test_what_was_not_measured_on_a_gpu_is_in_the_table_s_head(tables, monkeypatch):
    lines = tables["reference"].splitlines()
    head = {
        line.partition(":")[0]: line for line in lines if line.startswith(("# not measured, ", "# on a CPU alone, "))
    }
    assert "wide_resnet28_10 cifar iter_norm" in head["# on a CPU alone, ntk_one"]
    assert "# not measured, ntk_one" not in head  # each of the papers' networks has an NTK
    assert "resnet18 cifar batch_norm" not in head["# on a CPU alone, ntk_one"]
    assert "wide_resnet28_10 cifar iter_norm" in head["# not measured, timing"]
    of_gpu = {key: each for key, each in published.records().items() if each.parameters["device"] == "gpu"}
    monkeypatch.setattr(published, "records", lambda: of_gpu)
    without = _published.tables()["reference"].splitlines()
    assert not any(line.startswith("# on a CPU alone, ") for line in without)
    assert any(line.startswith("# not measured, ntk_one: ") for line in without)
    monkeypatch.undo()
    assert "last_batch_norm 0.03: 4, resnet18 last_batch_norm 0.3: 5" in tables["training_mn9"]
    left = {key: each for key, each in published.records().items() if each.parameters.get("learning_rate") != 0.01}
    monkeypatch.setattr(published, "records", lambda: left)
    assert "vgg11 none 0.01: 5" in _published.tables()["training_mn9"]


def test_every_number_of_a_table_names_its_record(tables):
    known = {key[:12] for key in published.records()}
    for text in tables.values():
        table = figures.frame(text)
        assert set(table["record"]) <= known
        assert table["value"].dtype == float


def test_a_training_s_curve_keeps_its_first_steps_and_its_last(tables):
    table = figures.frame(tables["training_mn9"])
    steps = figures.pick(table, model="vgg11", normalizer="none", learning_rate=0.1, seed=0, quantity="training_loss")
    assert list(steps["at"]) == [*range(20), *range(20, 200, 5), 199]


def test_the_command_writes_them(tmp_path, monkeypatch, tables):
    monkeypatch.setattr(analyses, "DATA", tmp_path / "data")
    options = ["small_scale", "--published", "--no-measure", "--output", str(tmp_path / "a")]
    assert CliRunner().invoke(app, options).exit_code == 0
    assert {path.stem: path.read_text() for path in (tmp_path / "data").iterdir()} == tables
    assert (tmp_path / "a" / "small_scale.svg").is_file()
