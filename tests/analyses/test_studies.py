"""Every study runs, in a small configuration, and its command keeps what it measures."""

import csv
import inspect
import sys

import pytest

import analyses
from ntkcheck.measurement import Measurement
from ntkcheck.stats import Estimate
from ntkcheck.store import Store, reference
from ntkcheck.sweep import cells, run
from ntkcheck.sweep.grid import check_parameters
from ntkcheck.table import holds_grid, study_table, uncommented

MADE_UP = analyses.Study("made_up", lambda key: [], [{"size": 1}, {"size": 2}], [{"size": 1}])


def measure(key, size):
    """A measure function for a study of a test."""
    if size < 0:
        raise ArithmeticError("a size below 0")
    return [Measurement("size", Estimate(float(size), 0.0, 0), "itself")]


@pytest.fixture
def made_up(monkeypatch, tmp_path):
    """A study that takes no time, in place of all others, and a folder for its table."""
    study = MADE_UP._replace(measure=measure)
    monkeypatch.setattr(analyses, "load", lambda name: study)
    monkeypatch.setattr(analyses, "DATA", tmp_path / "data")
    monkeypatch.setitem(sys.modules, "analyses.made_up", inspect.getmodule(measure))
    return study


def command(monkeypatch, tmp_path, *options):
    """The exit code of the study's command."""
    monkeypatch.setattr(sys, "argv", ["made_up", "--store", str(tmp_path / "store.db"), *options])
    with pytest.raises(SystemExit) as ended:
        analyses.command("analyses/made_up.py")
    return ended.value.code


@pytest.mark.parametrize("name", analyses.names())
def test_the_toy_of_every_study_runs_and_makes_a_table(name, tmp_path):
    study = analyses.load(name)
    with Store(tmp_path / "store.db") as store:
        records = run(study.toy, study.measure, store)
    assert [record.failure for record in records] == [None] * len(records)
    text = study_table(records, study.command)
    assert holds_grid(text, reference(study.measure), study.toy)
    assert not holds_grid(text, reference(study.measure), study.grid)  # power


@pytest.mark.parametrize("name", analyses.names())
def test_every_study_has_a_grid_of_calls_of_its_measure_function(name):
    study = analyses.load(name)
    check_parameters(study.measure, cells(study.grid))
    assert reference(study.measure).startswith("ntkcheck.")
    assert (inspect.getmodule(analyses).__name__, name in study.command) == ("analyses", True)


def test_an_unknown_study_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'lemma_1'"):
        analyses.load("lema_1")


def test_the_command_measures_the_study_and_writes_its_table(made_up, monkeypatch, tmp_path, capsys):
    assert command(monkeypatch, tmp_path) == 0
    text = (tmp_path / "data" / "made_up.csv").read_text()
    assert [row["value"] for row in csv.DictReader(uncommented(text))] == ["1", "2"]
    assert text.startswith("# command: python -m analyses.made_up\n")
    assert "2 cells in" in capsys.readouterr().err
    assert command(monkeypatch, tmp_path) == 0
    assert (tmp_path / "data" / "made_up.csv").read_text() == text


def test_a_toy_does_not_take_the_place_of_the_study(made_up, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert command(monkeypatch, tmp_path, "--toy") == 0
    assert not (tmp_path / "data").exists()
    text = (tmp_path / "results" / "analyses" / "made_up.csv").read_text()
    assert text.startswith("# command: python -m analyses.made_up --toy\n")


def test_a_study_of_which_a_cell_fails_leaves_no_table(made_up, monkeypatch, tmp_path, capsys):
    broken = made_up._replace(grid=[{"size": 1}, {"size": -1}])
    monkeypatch.setattr(analyses, "load", lambda name: broken)
    assert command(monkeypatch, tmp_path) == 1
    assert "ArithmeticError: a size below 0" in capsys.readouterr().err
    assert list((tmp_path / "data").iterdir()) == []


def test_a_store_that_cannot_be_opened_is_said(made_up, monkeypatch, tmp_path, capsys):
    (tmp_path / "store.db").write_text("no store" * 1000)
    assert command(monkeypatch, tmp_path) == 2
    assert "error:" in capsys.readouterr().err
