"""`python -m figures`: the same bytes twice, refusals that say what to do, and measuring of what is missing."""

import json

import pytest
from typer.testing import CliRunner

import analyses
import figures
from figures.__main__ import app

STUDY = analyses.load("lemma_1")
SMALL = STUDY._replace(grid=STUDY.toy.__class__(fan_in=(4, 8), fan_out=(64,), draws=50))


def run(folder, *options):
    return CliRunner().invoke(app, [*options, "--output", str(folder), "--store", str(folder.parent / "store.db")])


@pytest.fixture
def small_study(monkeypatch, tmp_path):
    """A study that takes no time in place of the one behind figure lemma_1, and no table committed."""
    monkeypatch.setattr(analyses, "load", lambda name: SMALL)
    monkeypatch.setattr(analyses, "DATA", tmp_path / "data")
    return tmp_path / "data" / "lemma_1.csv"


def test_a_figure_is_the_same_to_the_byte_when_it_is_drawn_again(tmp_path):
    for folder in ("a", "b"):
        assert run(tmp_path / folder, "lemma_1", "--no-measure").exit_code == 0
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names == {f"lemma_1.{kind}" for kind in ("svg", "pdf", "png", "txt", "json", "csv")}
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert (tmp_path / "a" / "lemma_1.csv").read_bytes() == (analyses.DATA / "lemma_1.csv").read_bytes()
    assert not (tmp_path / "store.db").exists()


def test_a_figure_comes_with_what_a_page_says_of_it(tmp_path):
    run(tmp_path / "a", "lemma_1", "--no-measure")
    about, figure = json.loads((tmp_path / "a" / "lemma_1.json").read_text()), figures.load("lemma_1")
    caption = figure.caption({"lemma_1": figures.frame(figures.committed("lemma_1"))})
    assert about == {
        "name": "lemma_1",
        "title": figure.title,
        "caption": caption,
        "claims": ["MN-3"],
        "tables": ["lemma_1.csv"],
        "command": "python -m figures lemma_1",
    }
    assert (tmp_path / "a" / "lemma_1.txt").read_text() == f"{figure.title}. {caption}\n"


def test_a_missing_table_is_refused_with_its_command(small_study, tmp_path):
    result = run(tmp_path / "a", "lemma_1", "--no-measure")
    assert result.exit_code == 1
    assert "missing figures/data/lemma_1.csv; python -m analyses.lemma_1 makes it" in result.stderr
    assert "0 of 1 figures" in result.stderr
    assert list((tmp_path / "a").iterdir()) == []


def test_what_is_missing_is_measured_once_and_kept(small_study, tmp_path):
    assert run(tmp_path / "a", "lemma_1").exit_code == 0
    text = small_study.read_text()
    assert text.count("\n50,") == 0
    assert len(figures.frame(text)) == 2
    assert run(tmp_path / "b", "lemma_1", "--no-measure").exit_code == 0
    assert (tmp_path / "a" / "lemma_1.svg").read_bytes() == (tmp_path / "b" / "lemma_1.svg").read_bytes()


def test_a_table_of_another_grid_is_measured_again_from_what_the_store_lacks(small_study, tmp_path, monkeypatch):
    run(tmp_path / "a", "lemma_1")
    larger = SMALL._replace(grid=STUDY.toy.__class__(fan_in=(4, 8, 16), fan_out=(64,), draws=50))
    monkeypatch.setattr(analyses, "load", lambda name: larger)
    assert run(tmp_path / "b", "lemma_1", "--no-measure").exit_code == 1
    result = run(tmp_path / "b", "lemma_1")
    assert result.exit_code == 0
    assert "2 cached" in result.stderr
    assert len(figures.frame(small_study.read_text())) == 3


def test_fresh_measures_again_and_finds_the_same(small_study, tmp_path):
    run(tmp_path / "a", "lemma_1")
    text = small_study.read_text()
    small_study.write_text(text.replace("0.", "9.", 1))
    assert run(tmp_path / "b", "lemma_1", "--fresh").exit_code == 0
    assert small_study.read_text() == text


def test_a_study_that_fails_leaves_neither_table_nor_figure(small_study, tmp_path, monkeypatch):
    broken = SMALL._replace(grid=STUDY.toy.__class__(fan_in=(0,), fan_out=(64,), draws=50))
    monkeypatch.setattr(analyses, "load", lambda name: broken)
    result = run(tmp_path / "a", "lemma_1")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stderr
    assert not small_study.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["lema_1"], "did you mean 'lemma_1'?"),
        (["lemma_1", "--fresh", "--no-measure"], "leave out one of them"),
    ],
)
def test_options_that_cannot_be_met_are_refused_before_anything_is_written(tmp_path, options, message):
    result = run(tmp_path / "a", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "a").exists()
