"""What a run leaves behind for machines: JSON and CSV."""

import csv
import io
import json
import math

import numpy as np
import pytest

from ntkcheck.measurement import FINITE, INFINITE, Measurement
from ntkcheck.output import claim_file, claim_folder
from ntkcheck.regime import Result, document
from ntkcheck.regime.document import COLUMNS, to_csv, to_json
from ntkcheck.regime.folder import write_numbers
from ntkcheck.stats import Estimate, interval
from tests.regime import experiment, made_up, record


def read(result):
    """The JSON read back by a strict reader."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(to_json(result), parse_constant=refuse)


def test_the_document_holds_everything_of_a_run():
    result = made_up()
    found = read(result)
    assert found["program"] == "ntkcheck.regime"
    assert found["complete"] is True
    assert found["failures"] == {}
    assert found["settings"]["normalizers"] == ["none", "batch_norm"]
    assert found["settings"]["depth"] == 6
    assert found["settings"]["sigma_w"] == 2**0.5  # the value that was used, not None
    assert found["data"] == result.experiment.source
    assert found["times"]["seconds"]["batch_norm, finite width"] == 1.235
    assert found["provenance"] == [{"jax": "0.10"}]
    assert len(found["measurements"]) == len(list(result.rows())) == 12
    assert len(found["curves"]) == len(list(result.curves())) == 12


def test_what_failed_or_is_not_there_yet_is_said():
    result = made_up(("none",))
    failed = record((), failure="ValueError: no")
    for broken, failures in (
        ({("none", INFINITE): failed}, {"none, infinite width": "ValueError: no"}),
        ({}, {}),
    ):
        found = read(Result(result.experiment, {("none", FINITE): result.records["none", FINITE]} | broken))
        assert found["complete"] is False
        assert found["failures"] == failures
        assert {row["width"] for row in found["measurements"]} == {FINITE}


def test_every_provenance_is_given_once():
    result = made_up()
    result.records["none", FINITE] = record((), provenance={"jax": "0.11"})
    assert read(result)["provenance"] == [{"jax": "0.10"}, {"jax": "0.11"}]


def test_measurements_come_with_their_intervals():
    result = made_up()
    row = next(row for row in read(result)["measurements"] if row["width"] == FINITE)
    estimate = result.find(row["subject"], row["quantity"], FINITE)
    low, high = interval(estimate, 0.95)
    assert list(row) == list(COLUMNS)
    assert (row["value"], row["sem"], row["n"], row["low"], row["high"]) == (*estimate, low, high)


def test_curves_are_lists_of_numbers():
    result = made_up()
    for written, curve in zip(read(result)["curves"], result.curves(), strict=True):
        assert (written["subject"], written["quantity"], written["width"]) == curve[:3]
        np.testing.assert_array_equal(written["value"], curve.series.value)
        np.testing.assert_array_equal(written["sem"], curve.series.sem)
        np.testing.assert_array_equal(written["depth"], curve.series.at)


def test_regimes_are_given_by_normaliser_and_respect():
    result = made_up()
    regime = result.regimes()["none"]["gradient"]
    assert read(result)["verdicts"]["none"]["gradient"] == {
        "verdict": regime.verdict,
        "theory": regime.theory,
        "value": regime.estimate.value,
        "low": regime.interval.low,
        "high": regime.interval.high,
        "critical_band": list(regime.band),
        "reason": regime.reason,
    }


def test_claims_are_written_as_they_are_given():
    assert json.loads(to_json(made_up(), {"MN-1": {"value": math.inf}}))["claims"] == {"MN-1": {"value": "inf"}}


def test_numbers_that_are_not_finite_are_strings():
    values = {"nothing": math.nan, "everything": math.inf, "less": -math.inf}
    broken = record(Measurement(name, Estimate(value, math.nan, 3), "made up") for name, value in values.items())
    rows = read(Result(experiment(normalizers=("none",)), {("none", FINITE): broken}))["measurements"]
    assert [row["value"] for row in rows] == ["nan", "inf", "-inf"]
    assert rows[1]["low"] == rows[1]["high"] == "inf"
    assert rows[0]["sem"] == "nan"


def test_a_function_is_recorded_by_its_name():
    def mine(x):
        return x

    assert document(Result(experiment(normalizers=(mine, "none")), {}))["settings"]["normalizers"] == ["mine", "none"]


def test_csv_is_one_row_a_measurement():
    result = made_up()
    rows = list(csv.DictReader(io.StringIO(to_csv(result))))
    assert list(rows[0]) == list(COLUMNS)
    assert [row["quantity"] for row in rows] == [row.quantity for row in result.rows()]
    # Written as Python writes floats, which reads back exactly.
    assert [float(row["value"]) for row in rows] == [row.estimate.value for row in result.rows()]


def test_files_are_replaced_whole(tmp_path):
    result = made_up()
    (tmp_path / "regime.json").write_text("an older run")
    paths = write_numbers(result, {}, tmp_path)
    assert [path.name for path in paths] == ["regime.json", "measurements.csv"]
    assert paths[0].read_text() == to_json(result)
    assert {path.name for path in tmp_path.iterdir()} == {"regime.json", "measurements.csv"}


def test_a_folder_or_file_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("content")
    with pytest.raises(ValueError, match=r"`output` must be a folder that can be written to, got .*file': File exists"):
        claim_folder(tmp_path / "file")
    with pytest.raises(ValueError, match=r"`output` must be a folder .*, got .*file/below': Not a directory"):
        claim_folder(tmp_path / "file" / "below")
    with pytest.raises(ValueError, match=r"`json` must be a file that can be written, got .*: Is a directory"):
        claim_file(tmp_path)
    with pytest.raises(ValueError, match=r"`json` must be a file .*, got .*file/below.json': "):
        claim_file(tmp_path / "file" / "below.json")


def test_claiming_leaves_nothing_and_changes_nothing(tmp_path):
    assert claim_folder(tmp_path / "new" / "folder").is_dir()
    assert not list((tmp_path / "new" / "folder").iterdir())
    (tmp_path / "kept.json").write_text("content")
    assert claim_file(tmp_path / "kept.json").read_text() == "content"
    assert not claim_file(tmp_path / "deep" / "new.json").exists()
