"""What a run leaves behind for machines: JSON and CSV."""

import csv
import io
import json
import math

import numpy as np
import pytest

from ntkcheck import claims
from ntkcheck.measurement import FINITE, Measurement
from ntkcheck.regime import Result, document
from ntkcheck.regime.document import COLUMNS, to_csv, to_json
from ntkcheck.regime.folder import claim_file, claim_folder, write_numbers
from ntkcheck.regime.table import with_error
from ntkcheck.stats import Estimate, interval
from tests.regime import experiment, made_up


def read(result):
    """The JSON read back by a strict reader."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(to_json(result), parse_constant=refuse)


def test_the_document_holds_everything_of_a_run():
    result = made_up()
    found = read(result)
    assert found["program"] == "ntkcheck.regime"
    assert found["complete"] is False
    assert found["settings"]["normalizers"] == ["none", "batch_norm"]
    assert found["settings"]["depth"] == 6
    assert found["settings"]["sigma_w"] == 2**0.5  # the value that was used, not None
    assert found["data"] == result.experiment.source
    assert found["times"] == {"seconds": {"none, infinite width": 1.235, "batch_norm, infinite width": 1.235}}
    assert found["provenance"].keys() >= {"python", "ntkcheck", "jax", "numpy", "device", "dtype", "revision"}
    assert len(found["measurements"]) == len(result.measurements) == 12
    assert len(found["curves"]) == len(result.curves)


def test_measurements_come_with_their_intervals():
    result = made_up()
    row = next(row for row in read(result)["measurements"] if row["width"] == FINITE)
    estimate = result.measurements.find(row["subject"], row["quantity"], FINITE)
    low, high = interval(estimate, 0.95)
    assert list(row) == list(COLUMNS)
    assert (row["value"], row["sem"], row["n"], row["low"], row["high"]) == (*estimate, low, high)


def test_curves_are_lists_of_numbers():
    result = made_up()
    for written, curve in zip(read(result)["curves"], result.curves, strict=True):
        assert (written["subject"], written["quantity"], written["width"]) == curve[:3]
        np.testing.assert_array_equal(written["value"], curve.value)
        np.testing.assert_array_equal(written["sem"], curve.sem)


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


def test_every_claim_has_a_verdict_a_value_an_interval_and_a_reason():
    result = made_up()
    result.answers = {id: {} for id in claims.CHECKS}
    result.answers["MN-7"] = {"growth_1.2": Estimate(1.2, 0.001, 10), "drift_50_layers": Estimate(0.4, 0.0, 0)}
    found = read(result)["claims"]
    assert found.keys() == claims.CHECKS.keys()
    for id, entry in found.items():
        assert entry.keys() >= {"verdict", "value", "low", "high", "reason"}
        assert entry["statement"] == claims.load()[id].statement
    assert found["MN-7"]["verdict"] == "refuted"
    assert found["MN-7"]["value"] == 1.2
    assert found["MN-7"]["low"] < 1.2 < found["MN-7"]["high"]
    assert found["MN-7"]["decided_by"] == "growth_1.2"
    assert [test["answer"] for test in found["MN-7"]["tests"]] == ["outside", "missing", "outside"]
    assert (found["MN-1"]["verdict"], found["MN-1"]["value"]) == ("untested", None)
    assert found["MN-1"]["bounds"] == [0.99, "inf"]


def test_numbers_that_are_not_finite_are_strings():
    result = made_up()
    for quantity, value in (("nothing", math.nan), ("everything", math.inf), ("less", -math.inf)):
        result.measurements.add(Measurement("none", quantity, FINITE, Estimate(value, math.nan, 3), "made up"))
    rows = read(result)["measurements"][-3:]
    assert [row["value"] for row in rows] == ["nan", "inf", "-inf"]
    assert rows[1]["low"] == rows[1]["high"] == "inf"
    assert rows[0]["sem"] == "nan"


def test_a_function_is_recorded_by_its_name():
    def mine(x):
        return x

    assert document(Result(experiment(normalizers=(mine, "none"))))["settings"]["normalizers"] == ["mine", "none"]


def test_csv_is_one_row_a_measurement():
    result = made_up()
    rows = list(csv.DictReader(io.StringIO(to_csv(result))))
    assert list(rows[0]) == list(COLUMNS)
    assert [row["quantity"] for row in rows] == [measurement.quantity for measurement in result.measurements]
    # Written as Python writes floats, which reads back exactly.
    assert [float(row["value"]) for row in rows] == [m.estimate.value for m in result.measurements]


def test_files_are_replaced_whole(tmp_path):
    result = made_up()
    (tmp_path / "regime.json").write_text("an older run")
    paths = write_numbers(result, tmp_path)
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


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (Estimate(1.46942, 0.0123, 10), "1.469(12)"),
        (Estimate(1.46942, 0.003, 10), "1.469(3)"),
        (Estimate(-0.1, 0.2, 10), "-0.1(2)"),
        (Estimate(1234.5, 56.0, 10), "1234(56)"),
        (Estimate(3.2e6, 1e5, 10), "3.20e+06 ± 1e+05"),
        (Estimate(1.46694220, 0.0, 0), "1.4669"),
        (Estimate(math.inf, 0.0, 0), "inf"),
        (Estimate(math.nan, math.nan, 3), "nan"),
        (None, "-"),
    ],
)
def test_errors_are_written_in_the_last_digits(estimate, words):
    assert with_error(estimate) == words
