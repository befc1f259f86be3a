"""What the documents of all runs have in common."""

import math
from dataclasses import replace

import numpy as np

from ntkcheck.measurement import Measurement, Series
from ntkcheck.records import account, flat, rows, stored, with_interval
from ntkcheck.stats import Estimate, interval
from ntkcheck.store import Record, Store, reference
from ntkcheck.table import csv_text

SERIES = Series(np.ones(2), np.zeros(2), 0, np.arange(2.0))
FOUND = (
    Measurement("number", Estimate(1.0, 0.1, 5), "made up"),
    Measurement("series", SERIES, "made up"),
)


def measure(key, width):
    """Never called: what it would measure is put into the store."""


def record(width=3, **changes):
    made = Record(reference(measure), {"width": width}, FOUND, None, 0, "2020-01-01", 1.23456, {"jax": "0.10"})
    return replace(made, **changes)


def test_numbers_and_series_come_apart_with_their_cells():
    pairs = [("a", record()), ("b", record(measurements=FOUND[:1]))]
    assert [(row.cell, row.quantity, row.estimate.n) for row in rows(pairs, Estimate)] == [
        ("a", "number", 5),
        ("b", "number", 5),
    ]
    ((cell, quantity, series, *_),) = rows(pairs, Series)
    assert (cell, quantity) == ("a", "series")
    np.testing.assert_array_equal(series.value, SERIES.value)


def test_a_number_comes_with_its_interval_and_the_record_that_it_is_from():
    found, number = record(), Estimate(1.0, 0.1, 5)
    assert list(flat(number, "by hand", found).values()) == [
        *number,
        *interval(number, 0.95),
        "by hand",
        found.key[:12],
    ]
    assert with_interval(Estimate(math.inf, math.nan, 3))["low"] == math.inf


def test_documents_say_what_failed_where_and_when():
    failed = record(4, measurements=(), failure="ValueError: no", provenance={"jax": "0.11"})
    found = account({"a": record(), "b": record(5), "c": failed})
    assert list(found) == ["failures", "provenance", "times"]
    assert found["failures"] == {"c": "ValueError: no"}
    assert found["provenance"] == [{"jax": "0.10"}, {"jax": "0.11"}]
    assert found["times"]["seconds"] == {"a": 1.235, "b": 1.235, "c": 1.235}
    assert found["times"]["started"]["c"] == "2020-01-01"


def test_what_a_store_has_of_some_cells_is_found_without_measuring(tmp_path):
    with Store(tmp_path / "x.db") as store:
        store.add(record())
        found = stored(store, measure, {"here": {"width": 3}, "not yet": {"width": 4}})
    assert {cell: each.parameters for cell, each in found.items()} == {"here": {"width": 3}}


def test_a_table_without_rows_has_its_columns_and_one_with_fewer_has_them_empty():
    assert csv_text([], columns=("a", "b")) == "a,b\n"
    assert csv_text([{"b": 1}, {"a": 2}], columns=("a", "b")) == "a,b\n,1\n2,\n"
