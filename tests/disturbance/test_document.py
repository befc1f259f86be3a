"""What a run leaves behind: JSON, CSV, tables."""

import csv
import io
import json
import math

import pytest
from rich.console import Console

from ntkcheck.disturbance import Result
from ntkcheck.disturbance.document import COLUMNS, to_csv, to_json
from ntkcheck.disturbance.folder import write_figures, write_numbers
from ntkcheck.disturbance.table import render
from ntkcheck.measurement import Measurement
from ntkcheck.stats import Estimate, interval
from tests.disturbance import made_up, record

SEVERAL = {"normalizers": ("batch_norm", "zca", "iter_norm", "pca"), "group_sizes": (2, 4)}


def read(result, claims=None):
    """The JSON read back by a strict reader."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(to_json(result, claims), parse_constant=refuse)


def shown(result, width=200):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(render(result))
    return console.export_text()


def test_the_document_holds_everything_of_a_run():
    result = made_up(**SEVERAL)
    found = read(result, {"IN-3": {"value": math.inf}})
    assert found["program"] == "ntkcheck.snd"
    assert found["complete"] is True
    assert found["claims"] == {"IN-3": {"value": "inf"}}
    assert found["settings"]["batch_sizes"] == [4, 8, 16]
    assert [each["population"] for each in found["populations"]] == ["gaussian"]
    assert found["populations"][0]["samples"] == 120
    assert len(found["measurements"]) == len(list(result.rows()))
    assert len(found["lines"]) == len(result.lines) == 7
    assert found["left_out"] == list(result.experiment.left_out)
    assert found["provenance"] == [{"jax": "0.10"}]
    assert found["times"]["seconds"]["zca, g = 2 (2 groups), m = 4 on gaussian, d = 4"] == 1.235


def test_measurements_come_with_their_place_and_interval():
    result = made_up(**SEVERAL)
    row = next(row for row in read(result)["measurements"] if row["normalizer"] == "zca" and row["group_size"] == 4)
    assert list(row) == list(COLUMNS)
    assert (row["groups"], row["features"], row["batch_size"], row["iterations"]) == (1, 4, 8, None)
    line = next(line for line in result.lines if line.normalizer == "zca" and line.group_size == 4)
    estimate = result.find(line, 8, row["quantity"])
    assert (row["value"], row["sem"], row["n"], row["low"], row["high"]) == (*estimate, *interval(estimate, 0.95))


def test_lines_say_from_where_their_law_holds_and_how_steep_they_are():
    found = {line["normalizer"]: line for line in read(made_up(**SEVERAL))["lines"]}
    assert found["batch_norm"]["law_holds_from"] == 8
    assert found["pca"]["law_holds_from"] is None
    assert found["batch_norm"]["slope"].keys() == {"value", "sem", "n", "low", "high"}
    assert found["zca"]["slope"] is None


def test_csv_is_one_row_a_measurement():
    result = made_up()
    rows = list(csv.DictReader(io.StringIO(to_csv(result))))
    assert list(rows[0]) == list(COLUMNS)
    # Written as Python writes floats, which reads back exactly.
    assert [float(row["value"]) for row in rows] == [row.estimate.value for row in result.rows()]


def test_what_failed_broke_down_or_is_not_there_yet_is_said():
    result = made_up()
    first, second, _ = result.experiment.cells
    nothing = Measurement("snd", Estimate(math.nan, math.nan, 3), "made up")
    records = {
        first: record(first, result.experiment, (), failure="ValueError: no"),
        second: record(second, result.experiment, [nothing]),
    }
    found = read(Result(result.experiment, records))
    assert found["complete"] is False
    assert found["failures"] == {"batch_norm, m = 4 on gaussian, d = 4": "ValueError: no"}
    assert [row["value"] for row in found["measurements"]] == ["nan"]
    assert "broke down" in shown(Result(result.experiment, records))


def test_the_table_has_sizes_and_numbers_of_groups_and_both_disturbances():
    text = shown(made_up(**SEVERAL))
    assert "SND on gaussian: d = 4, 120 samples, condition number" in text
    for words in ("m = 4", "m = 16", "groups", "condition", "law from", "no law", "rel 1.", "law "):
        assert words in text, words
    assert "left out: `zca` needs more samples in a batch than features in a group" in text
    assert text.count("iter_norm") == 2


@pytest.mark.parametrize(("features", "names"), [((4,), {"snd"}), ((4, 8), {"snd_d4", "snd_d8"})])
def test_files_of_a_folder(tmp_path, features, names):
    result = made_up(features=features)
    paths = [*write_numbers(result, {}, tmp_path), *write_figures(result, tmp_path)]
    pictures = {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    assert {path.name for path in paths} == {"snd.json", "measurements.csv"} | pictures
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}
    assert (tmp_path / "snd.json").read_text() == to_json(result)
