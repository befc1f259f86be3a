from datetime import UTC, datetime, timedelta
from pathlib import Path

import jax
import numpy as np
import pytest

from ntkcheck.measurement import Series
from ntkcheck.stats import Estimate
from ntkcheck.store import Store, key_of, provenance, random_key, seed_of
from ntkcheck.sweep import measure_cell, obtain
from tests.sweep import measures


def test_a_record_says_what_was_measured_with_which_seed_when_and_where():
    before = datetime.now(UTC)
    record = measure_cell(measures.draw, {"cell": 5, "seconds": 0.02})
    name = "tests.sweep.measures:draw"
    assert (record.function, record.parameters, record.failure) == (name, {"cell": 5, "seconds": 0.02}, None)
    assert record.seed == seed_of(key_of(name, {"seconds": 0.02, "cell": 5}))
    assert record.provenance == provenance(name)
    assert before <= datetime.fromisoformat(record.started) <= before + timedelta(seconds=60)
    assert 0.02 <= record.seconds < 10


def test_the_random_key_is_that_of_the_recorded_seed():
    record = measure_cell(measures.draw, {"cell": 5})
    words = np.asarray(jax.random.key_data(random_key(record.seed)))
    assert [record.find("first word").value, record.find("second word").value] == [float(word) for word in words]


def test_other_parameters_and_other_functions_have_other_random_keys():
    seeds = {
        measure_cell(function, parameters).seed
        for function in (measures.double, measures.failing)
        for parameters in ({"x": 1}, {"x": 2}, {"cell": 1})
    }
    assert len(seeds) == 6


def test_parameters_arrive_in_the_form_in_which_they_are_kept():
    record = measure_cell(measures.types, {"a": np.float32(0.5), "b": np.int64(2), "c": "x", "d": [1, 2]})
    assert record.find("plain").value == 4


def test_a_function_may_be_a_parameter():
    record = measure_cell(measures.apply, {"function": measures.half, "at": 3.0})
    assert record.find("value").value == 1.5
    assert record.parameters["function"]["function"] == "tests.sweep.measures:half"


def test_a_failure_is_recorded_with_its_reason_and_place():
    record = measure_cell(measures.failing, {"cell": 3})
    assert record.measurements == ()
    assert record.failure.startswith("ValueError: the covariance lost positive definiteness (at ")
    line = int(record.failure.rstrip(")").rpartition(":")[2])
    assert 'raise ValueError("the covariance' in Path(measures.__file__).read_text().splitlines()[line - 1]


def test_a_failure_in_a_library_is_placed_where_the_measure_function_called_it():
    record = measure_cell(measures.matrix, {"size": -1, "scale": 1.0})
    assert "measures.py:" in record.failure


def test_a_function_that_exits_is_a_failure():
    assert measure_cell(measures.exiting, {"x": 1}).failure.startswith("SystemExit: no")


def test_wrong_parameters_are_a_failure():
    assert measure_cell(measures.double, {"y": 1}).failure.startswith("TypeError: double() got an unexpected")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("none", "TypeError: a measure function must return a list of Measurements, got None"),
        ("number", "TypeError: a measure function must return a list of Measurements, got 1.0"),
        ("empty", "ValueError: a measure function must return at least one quantity"),
        ("twice", "ValueError: a measure function must return at least one quantity, and each once"),
        ("bare", "TypeError: a Measurement must hold an Estimate or a Series, got 1.0"),
        ("word", "ValueError: could not convert string to float"),
        (
            "shapes",
            "ValueError: a Series must have an error and a place for every value, got shapes (3,), (2,) and (3,)",
        ),
    ],
)
def test_what_is_no_list_of_measurements_is_a_failure(kind, reason):
    assert measure_cell(measures.returning, {"kind": kind}).failure.startswith(reason)


def test_numbers_of_jax_and_numpy_become_plain_ones():
    record = measure_cell(measures.returning, {"kind": "jax"})
    assert [type(item.estimate.value) for item in record.measurements] == [float, float]
    assert record.find("value") == Estimate(1.0, 0.0, 0)
    places = measure_cell(measures.returning, {"kind": "jax series"}).find("value")
    assert isinstance(places, Series)
    assert type(places.value) is np.ndarray
    assert places.value.tolist() == [0, 1, 2]


@pytest.mark.parametrize("function", [lambda key: [], np.linalg, 3])
def test_a_function_that_no_other_process_finds_is_refused(function):
    with pytest.raises(ValueError, match="`function` must be one that another process can find by name"):
        measure_cell(function, {})


def test_what_was_measured_is_obtained_from_the_store(tmp_path):
    with Store(tmp_path / "a.db") as store:
        first = obtain(store, measures.draw, {"cell": 1})
        second = obtain(store, measures.draw, {"cell": 1})
        assert len(store) == 1
    assert second.started == first.started


def test_what_failed_before_is_measured_again_when_it_is_to_be_obtained(tmp_path):
    log = tmp_path / "log"
    with Store(tmp_path / "a.db") as store:
        assert obtain(store, measures.failing_once, {"log": str(log)}).failure is not None
        assert obtain(store, measures.failing_once, {"log": str(log)}).failure is None
