"""Tables of studies: what was measured can be read again, and a table of something else is told apart."""

import csv
import math

import numpy as np
import pytest

from ntkcheck.measurement import Measurement, Series
from ntkcheck.stats import Estimate
from ntkcheck.store import Record
from ntkcheck.table import csv_text, holds_grid, origins, study_table, uncommented

FUNCTION = "ntkcheck.somewhere:measure"
ORIGIN = {"jax": "1", "revision": "abc", "code": "d1"}


def record(width=3, failure=None, origin=ORIGIN, **parameters):
    found = [
        Measurement("growth", Estimate(1 / 3, 0.01, 5), "5 networks"),
        Measurement("curve", Series(np.array([1.0, 2.0]), np.zeros(2), 0, np.array([10.0, 20.0])), "theory"),
    ]
    return Record(FUNCTION, {"width": width, **parameters}, [] if failure else found, failure, 0, "", 0.0, origin)


def rows(text):
    return list(csv.DictReader(uncommented(text)))


def test_an_estimate_is_one_row_and_a_series_one_row_a_place():
    found = rows(study_table([record()], "run it"))
    assert [(row["width"], row["quantity"], row["at"], row["n"]) for row in found] == [
        ("3", "growth", "", "5"),
        ("3", "curve", "10", "0"),
        ("3", "curve", "20", "0"),
    ]
    assert float(found[0]["value"]) == pytest.approx(1 / 3, abs=5e-10)  # nine digits
    assert {row["record"] for row in found} == {record().key[:12]}


def test_the_table_says_what_made_it_and_where_and_nothing_else():
    text = study_table([record(), record(4, origin=ORIGIN | {"code": "d2"}), record(5, origin={"jax": "2"})], "run it")
    head = text.split("width,quantity")[0].splitlines()
    assert head == ["# command: run it", f"# measured by {FUNCTION}", "# jax 1; revision abc", "# jax 2"]
    assert origins([ORIGIN]) == ["jax 1; revision abc"]


def test_the_same_records_give_the_same_bytes_whenever_they_were_measured():
    later = Record(FUNCTION, {"width": 3}, record().measurements, None, 7, "2030", 9.0, ORIGIN)
    assert study_table([record()], "run it") == study_table([later], "run it")


def test_a_parameter_with_the_name_of_a_column_is_told_apart():
    (first, *_) = rows(study_table([record(n=8)], "run it"))
    assert (first["parameters.n"], first["n"]) == ("8", "5")


def test_a_table_holds_its_grid_and_no_other():
    text = study_table([record(3), record(4)], "run it")
    assert holds_grid(text, FUNCTION, [{"width": 4}, {"width": 3}])
    assert not holds_grid(text, FUNCTION, [{"width": 3}])
    assert not holds_grid(text, FUNCTION, [{"width": 3}, {"width": 4}, {"width": 5}])
    assert not holds_grid(text, "ntkcheck.somewhere:other", [{"width": 3}, {"width": 4}])


def test_a_table_with_a_failure_holds_nothing():
    text = study_table([record(), record(4, failure="ValueError: no")], "run it")
    assert rows(text)[-1]["quantity"] == "failure"
    assert rows(text)[-1]["method"] == "ValueError: no"
    assert not holds_grid(text, FUNCTION, [{"width": 3}, {"width": 4}])


def test_an_infinite_parameter_is_read_again():
    assert float(rows(study_table([record(math.inf)], "run it"))[0]["width"]) == math.inf


def test_comments_stand_above_the_rows_only():
    text = csv_text([{"a": "# not a comment", "b": 1}], ["one", "two"])
    assert text == "# one\n# two\na,b\n# not a comment,1\n"
    assert uncommented(text) == ["a,b\n", "# not a comment,1\n"]
    assert uncommented("# nothing else\n") == []
