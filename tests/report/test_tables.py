"""Stored measurements as rows to explore: what runs are called, what is left out, how several sets become one number."""

import json

import numpy as np
import pytest
import vl_convert

from ntkcheck.measurement import FINITE, INFINITE, Measurement, Series
from ntkcheck.regime import Settings, prepare
from ntkcheck.regime.cells import normalizer_regime
from ntkcheck.report import tables as module
from ntkcheck.report.charts import charts
from ntkcheck.report.tables import Tables, run_names, tables
from ntkcheck.stats import Estimate
from ntkcheck.store import Store, reference
from tests.report import record, regime_cell, snd_record


@pytest.fixture(scope="module")
def experiment():
    return prepare(Settings(normalizers=("none", "weight_mean")))


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "store.db") as store:
        yield store


def test_a_run_is_called_by_its_sizes_and_by_what_differs():
    a = {"data": "digits", "depth": 50, "sigma_w": 2**0.5, "samples": 512, "normalizer": "none", "side": FINITE}
    assert run_names([a]) == ["data digits, depth 50, sigma_w 1.414"]
    assert run_names([a, a | {"samples": 64}])[1] == "data digits, depth 50, sigma_w 1.414, samples 64"


def test_cells_become_numbers_and_curves(store, experiment):
    store.add(*(regime_cell(experiment, name, side) for name in experiment.networks for side in (INFINITE, FINITE)))
    found = tables(store)
    assert [(row["normalizer"], row["width"]) for row in found.regime] == [
        ("none", FINITE),
        ("none", INFINITE),
        ("weight_mean", FINITE),
        ("weight_mean", INFINITE),
    ]
    assert found.regime[0]["gradient_growth"] == 1.2
    assert found.regime[0]["gradient_growth_sem"] == 0.01
    last = [row for row in found.curves if row["normalizer"] == "none" and row["width"] == FINITE][4]
    assert (last["quantity"], last["depth"]) == ("correlation_through_depth", 5)
    assert (last["value"], last["low"], last["high"]) == (0.2, 0.19, 0.21)
    assert found.left_out == ()


def test_several_sets_of_snd_become_their_mean_with_the_error_of_their_scatter(store):
    store.add(snd_record(16), snd_record(64, Estimate(0.5, 0.1, 4)))
    sets, one = tables(store).snd
    values = np.array([1.0, 1.2, 1.1]) / 4
    sem = values.std(ddof=1) / 3**0.5
    assert [sets[name] for name in ("snd", "low", "high")] == pytest.approx(
        [values.mean(), values.mean() - sem, values.mean() + sem],
        rel=1e-4,  # five digits are kept
    )
    assert (sets["samples"], one["samples"]) == (3, 4)
    assert (one["snd"], one["low"], one["high"], one["law"]) == (0.5, 0.4, 0.6, 0.1375)


def test_what_is_not_as_it_was_written_is_left_out_and_told_of(store):
    kept, altered = store.add(snd_record(16), snd_record(64))
    found = tables(store, {altered.key})
    assert [row["record"] for row in found.snd] == [kept.key[:12]]
    assert found.left_out == ("1 records that are not as they were written are not on this page",)


def test_more_than_a_page_can_hold_is_left_out_and_told_of(store, experiment, monkeypatch):
    monkeypatch.setattr(module, "MOST_CURVES", 2)
    store.add(*(regime_cell(experiment, "none", FINITE, seed=seed) for seed in range(3)))
    found = tables(store)
    assert len(found.regime) == 3
    assert len({row["run"] for row in found.curves}) == 2
    assert found.left_out == ("the 1 oldest curves through depth are not on this page, which would grow too large",)


def test_a_phase_diagram_is_drawn_where_scales_differ(store, experiment):
    store.add(regime_cell(experiment, "none", FINITE))
    assert [chart.id for chart in charts(tables(store))] == ["regime", "depth", "full-size"]
    store.add(regime_cell(experiment, "none", FINITE, sigma_w=2.0))
    assert [chart.id for chart in charts(tables(store))] == ["regime", "depth", "phase", "full-size"]


def test_what_broke_down_is_missing(store, experiment):
    store.add(snd_record(16, Estimate(np.nan, np.nan, 3)))
    (row,) = tables(store).snd
    assert (row["snd"], row["low"]) == (None, None)


def test_a_full_page_is_smaller_than_5_megabytes(store, experiment):
    depth = np.arange(1.0, 51.0)
    curve = Series(-1.2345e-5 / depth, 1e-9 * depth, 10, depth)
    quantities = ("correlation_slope", "gradient_growth", *(f"another_quantity_{i}" for i in range(8)))
    found = [Measurement(name, Estimate(-1.2345e-5, 1.2345e-7, 10), "made up") for name in quantities]
    curves = [
        Measurement(f"{what}_through_depth", curve, "made up")
        for what in ("correlation", "gradient", "ntk_off_diagonal")
    ]
    cell = experiment.cell("weight_mean", INFINITE)
    store.add(
        *(record(reference(normalizer_regime), cell | {"sigma_w": w}, [*found, *curves]) for w in (1.2345, 2.3456))
    )
    store.add(snd_record(16))
    one = tables(store)
    rows = Tables(
        one.regime * (module.MOST_CELLS // 2), one.curves * (module.MOST_CURVES // 2), one.snd * module.MOST_CELLS, ()
    )
    specs = [json.dumps(chart.spec) for chart in charts(rows)]
    assert len(specs) == 4
    assert sum(map(len, specs)) + len(vl_convert.javascript_bundle()) < 4.95e6  # the rest of the page takes a few kB
