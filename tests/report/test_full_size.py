"""Full-size models on the page: what is shipped, and the store's own, which come first."""

import json

import numpy as np
import pytest

from ntkcheck import published
from ntkcheck.measurement import Measurement, Series
from ntkcheck.report.charts import charts
from ntkcheck.report.full_size import FUNCTIONS, QUANTITIES, rows
from ntkcheck.report.tables import Tables
from ntkcheck.store import Store
from tests.store import record


@pytest.fixture
def store():
    with Store(":memory:") as opened:
        yield opened


def curve(value, **parameters):
    found = Series(np.array([value, np.inf]), np.array([0.5, np.nan]), 4, np.array([1.0, 2.0]))
    size = {"model": "resnet18", "normalizer": "none", "image": 8, "batch": 4} | parameters
    measured = [Measurement("correlation", found, "made up"), Measurement("other", found, "made up")]
    return record(measurements=measured, function="ntkcheck.reference.activations:measure", parameters=size)


def test_every_shipped_curve_is_there(store):
    shipped = [record for record in published.records().values() if record.function in FUNCTIONS]
    models = {row["model"].partition(",")[0] for row in rows(store)}
    assert models == {record.parameters["model"] for record in shipped}
    assert {"correlation", "signal_gradient", "ntk_one_spectrum"} <= {row["quantity"] for row in rows(store)}


def test_the_page_begins_with_a_model_of_which_every_quantity_is_known(store):
    found = rows(store)
    known = {
        model: {row["quantity"] for row in found if row["model"] == model} for model in {r["model"] for r in found}
    }
    assert known[found[0]["model"]] == set(QUANTITIES)
    assert known[min(known)] < set(QUANTITIES)  # power: the first by name is not


def test_a_row_has_one_standard_error_to_either_side_and_no_infinity(store, monkeypatch):
    monkeypatch.setattr("ntkcheck.published.records", dict)
    store.add(curve(2.0))
    first, second = rows(store)
    assert (first["place"], first["low"], first["value"], first["high"]) == (1, 1.5, 2.0, 2.5)
    assert second["value"] is None


def test_the_stores_own_record_of_a_key_counts_and_an_altered_one_does_not(store, monkeypatch):
    shipped = curve(1.0)
    monkeypatch.setattr("ntkcheck.published.records", lambda: {shipped.key: shipped})
    assert rows(store)[0]["value"] == 1.0
    own = curve(3.0)
    store.add(own)
    assert [row["value"] for row in rows(store)] == [3.0, None]
    assert not rows(store, {own.key})


def test_the_chart_offers_every_model_and_quantity_and_has_a_text_alternative(store):
    (chart,) = charts(Tables([], [], [], (), rows(store)))
    spec = json.dumps(chart.spec)
    assert chart.id == "full-size"
    assert chart.spec["description"] == chart.about
    assert all(json.dumps(row["model"]) in spec for row in chart.rows)
    assert not charts(Tables([], [], [], (), []))


def test_normalisers_of_a_chart_are_told_apart(store):
    (chart,) = charts(Tables([], [], [], (), rows(store)))
    scale = next(layer["encoding"]["color"]["scale"] for layer in chart.spec["layer"])
    assert {"none", "batch_norm", "mimic_norm", "iter_norm", "layer_norm"} <= set(scale["domain"])
    assert len(set(scale["range"])) == len(scale["domain"])
