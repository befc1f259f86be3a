"""A run: what a cell measures, what is kept, and what is said of the lines."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from ntkcheck.disturbance import Result, prepare, run, stored
from ntkcheck.disturbance.cells import normalizer_disturbance
from ntkcheck.measurement import Measurement
from ntkcheck.stats import Estimate
from ntkcheck.store import Store
from tests.disturbance import OWN_BATCH_NORM, TINY, experiment, made_up, record


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """BatchNorm, at batches of 4, 8 and 16, with twice the usual draws."""
    path, found, seen = tmp_path_factory.mktemp("run") / "x.db", experiment(draws=40, samples=1000), []
    with Store(path) as store:
        return path, run(found, store, on_progress=seen.append), seen


def test_a_cell_measures_everything_that_table_and_figure_need(measured):
    _, result, _ = measured
    quantities = {"snd", "snd_biased", "snd_relative", "snd_error_anchors", "snd_error_draws"}
    quantities |= {"rms", "condition_number", "stable_rank", "law_exact", "law_first_order", "law_closed_form"}
    for found in result.records.values():
        assert {m.quantity for m in found.measurements} == quantities
    assert result.complete
    assert result.failures == {}


def test_batch_norm_has_its_exact_law(measured):
    _, result, _ = measured
    (line,) = result.lines
    measurements, laws = (result.over_batch_sizes(line, quantity) for quantity in ("snd", "law"))
    for m in (4, 8, 16):
        snd, law = measurements[m], laws[m]
        # Finite populations: 1 / 1000 relatively.
        assert abs(snd.value - law.value) <= 4 * snd.sem + 1e-3 * law.value
        assert abs(snd.value - 0.9 * law.value) > 4 * snd.sem + 1e-3 * law.value  # power
        assert result.find(line, m, "law_exact") == law


def test_what_is_in_the_store_is_not_measured_again(measured):
    path, result, seen = measured
    assert (seen[-1].done, seen[0].cached) == (3, 0)
    again = []
    with Store(path) as store:
        same = run(result.experiment, store, on_progress=again.append)
    assert again[-1].cached == 3
    assert [r.started for r in same.records.values()] == [r.started for r in result.records.values()]


def test_the_order_of_cells_and_processes_do_not_change_numbers(measured, tmp_path):
    path, result, _ = measured
    cell = result.experiment.cells[1]
    with Store(path) as store:
        kept = stored(result.experiment, store).records[cell]
    parameters = result.experiment.parameters(cell)
    from ntkcheck.sweep import measure_cell

    again = measure_cell(normalizer_disturbance, parameters)
    assert [m.estimate for m in again.measurements] == [m.estimate for m in kept.measurements]


def test_changed_samples_and_files_are_refused_as_cells():
    parameters = experiment().parameters(experiment().cells[0])
    with pytest.raises(ValueError, match=r"`inputs` must be the digest of what is there, .*, got else: it has changed"):
        normalizer_disturbance(jax.random.key(0), **parameters | {"inputs": "else"})
    with pytest.raises(ValueError, match="`source` must be the digest of what is there, None, got else"):
        normalizer_disturbance(jax.random.key(0), **parameters, source="else")


def test_a_normaliser_of_ones_own_and_one_with_a_memory_are_measured(tmp_path):
    (tmp_path / "mine.py").write_text(OWN_BATCH_NORM)
    spec = f"{tmp_path}/mine.py:own_batch_norm"
    chosen = (spec, "batch_norm", "moving_batch_norm")
    found = prepare(replace(TINY, normalizers=chosen, batch_sizes=(16,), draws=30, samples=400))
    with Store(tmp_path / "x.db") as store:
        result = run(found, store)
    assert result.failures == {}
    own, plain, moving = (result.find(line, 16, "snd") for line in result.lines)
    assert abs(own.value - plain.value) <= 4 * np.hypot(own.sem, plain.sem)
    # First order is a factor 0.229 at large m; at 16 the moving one is far below in any case.
    assert moving.value < 0.35 * plain.value


def test_breakdown_is_a_result(tmp_path):
    x = np.random.default_rng(0).standard_normal((100, 2))
    x[1:, 1] = 0
    np.save(tmp_path / "rare.npy", x)
    found = prepare(replace(TINY, populations=(str(tmp_path / "rare.npy"),), batch_sizes=(4, 8)))
    with Store(tmp_path / "x.db") as store:
        result = run(found, store)
    assert result.complete
    for kept in result.records.values():
        by_name = {m.quantity: m for m in kept.measurements}
        assert np.isnan(by_name["snd"].estimate.value)
        assert "BROKE DOWN: the normaliser returned values that are not finite" in by_name["snd"].method
        assert np.isnan(by_name["condition_number"].estimate.value)
    (line,) = result.lines
    assert result.slope(line) is None
    assert result.holds_from(line) is None


def test_the_law_holds_from_where_it_is_within_five_percent():
    result = made_up(normalizers=("batch_norm", "pca"))
    batch_norm, pca = result.lines
    assert result.holds_from(batch_norm) == 8  # 10% off at 4, of which errors of 1% explain 2%
    assert result.holds_from(pca) is None


def test_the_slope_is_fitted_over_batches_of_four_groups_and_more():
    result = made_up(normalizers=("zca",), batch_sizes=(4, 8, 16, 32))
    (line,) = result.lines
    power = result.slope(line)
    # Errors of 0.5% at most over a factor 4 in m: 0.01 / log 4.
    assert abs(power.exponent.value + 0.5) < 0.01 / np.log(4)
    assert power.dof == 1  # m = 8, 16, 32
    assert made_up(normalizers=("zca",)).slope(line) is None  # two batch sizes only


def test_failures_and_what_is_missing_are_said():
    result = made_up()
    first, second, _ = result.experiment.cells
    broken = record(first, result.experiment, (), failure="ValueError: no")
    found = Result(result.experiment, {first: broken, second: result.records[second]})
    assert found.failures == {first: "ValueError: no"}
    assert not found.complete
    assert found.find(first.line, first.batch_size, "snd") is None


def test_law_is_the_exact_one_where_there_is_one():
    result = made_up()
    cell = result.experiment.cells[0]
    exact = Measurement("law_exact", Estimate(7.0, 0.0, 0), "made up")
    result.records[cell] = record(cell, result.experiment, [*result.records[cell].measurements, exact])
    assert result.find(cell.line, cell.batch_size, "law").value == 7
