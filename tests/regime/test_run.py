"""The run: every cell in the store as soon as it is measured, numbers that do not depend on what else is asked."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ntkcheck.measurement import FINITE, INFINITE
from ntkcheck.regime import finite, prepare, run, stored, theory
from ntkcheck.regime.cells import SIDES, normalizer_regime
from ntkcheck.regime.document import to_json
from ntkcheck.store import Store
from tests.regime import OWN_BATCH_NORM, TINY, experiment, numbers_and_curves


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store(tmp_path_factory.mktemp("store") / "store.db") as opened:
        yield opened


@pytest.fixture(scope="module")
def result(store):
    return run(experiment(), store)


def test_a_run_has_both_widths_of_every_quantity(result):
    quantities = {width: {row.quantity for row in result.rows() if row.width == width} for width in (INFINITE, FINITE)}
    for quantity in ("correlation_slope", "gradient_growth", "second_moment_growth", "ntk_condition"):
        assert quantity in quantities[INFINITE] & quantities[FINITE]
    assert result.regimes()["none"].keys() == {"correlation", "gradient"}
    assert {(c.quantity, c.width) for c in result.curves()} == {
        (f"{quantity}_through_depth", width)
        for quantity in ("correlation", "ntk_off_diagonal", "gradient")
        for width in (INFINITE, FINITE)
    }
    assert result.complete


def test_a_second_run_measures_nothing(result, store, monkeypatch):
    for side in SIDES:
        monkeypatch.setitem(SIDES, side, lambda *_: pytest.fail("measured"))
    progress = []
    again = run(experiment(), store, on_progress=progress.append)
    assert [row[:5] for row in again.rows()] == [row[:5] for row in result.rows()]
    assert (progress[-1].done, progress[-1].cached, progress[-1].failed, progress[-1].total) == (2, 2, 0, 2)


def test_other_options_are_other_cells(result, store):
    assert stored(experiment(), store).complete
    for change in ({"seed": 1}, {"width": 25}, {"sigma_w": 1.0}, {"samples": 512}, {"data": "gaussian"}):
        assert not stored(experiment(**change), store).records
    assert stored(experiment(sigma_w=2**0.5), store).complete  # the default, said


def test_numbers_do_not_depend_on_what_else_is_asked(result):
    other = prepare(replace(TINY, normalizers=("batch_norm", "none")))
    again = [*theory.measure(other, "none"), *finite.measure(other, "none")]
    numbers = [m for m in again if m.quantity in numbers_and_curves(again)[0]]
    assert [(m.quantity, m.estimate) for m in numbers] == [(row.quantity, row.estimate) for row in result.rows()]
    reseeded, _ = numbers_and_curves(finite.measure(experiment(seed=1), "none"))
    for quantity, measurement in reseeded.items():
        if quantity != "share_near_zero":  # power; a share of few pairs may come out the same
            assert measurement.estimate != result.find("none", quantity)


def test_a_cell_is_measured_from_its_parameters_alone(result):
    for (_, width), record in result.records.items():
        again = normalizer_regime(None, **record.parameters)
        assert numbers_and_curves(again)[0].keys() == numbers_and_curves(record.measurements)[0].keys()
        assert next(m.estimate for m in again) == record.measurements[0].estimate, width


def test_changed_inputs_are_refused_and_not_measured_under_an_old_digest(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((64, 12)))
    (tmp_path / "mine.py").write_text(OWN_BATCH_NORM)
    choice = f"{tmp_path}/mine.py:own_batch_norm"
    changed = replace(TINY, data=str(tmp_path / "x.npy"), normalizers=(choice,))
    cell = prepare(changed).cell(choice, INFINITE)
    with pytest.raises(
        ValueError, match=r"`inputs` must be the digest of .*x\.npy.*, [0-9a-f]{16}, got 0123: it has changed"
    ):
        normalizer_regime(None, **(cell | {"inputs": "0123"}))
    (tmp_path / "mine.py").write_text(OWN_BATCH_NORM + "\n# changed\n")
    with pytest.raises(
        ValueError, match=r"`source` must be the digest of .*mine\.py:own_batch_norm, .*it has changed since"
    ):
        normalizer_regime(None, **cell)


def test_a_cell_that_fails_is_a_record_and_the_run_goes_on(tmp_path, monkeypatch):
    def broken(*_):
        raise FloatingPointError("no finite width today")

    monkeypatch.setitem(SIDES, FINITE, broken)
    with Store(tmp_path / "store.db") as store:
        found = run(experiment(), store)
        assert not found.complete
        assert list(found.failures) == [("none", FINITE)]
        assert found.failures["none", FINITE].startswith("FloatingPointError: no finite width today")
        assert found.find("none", "gradient_growth", INFINITE) is not None
        assert found.find("none", "gradient_growth", FINITE) is None
        monkeypatch.undo()
        assert run(experiment(), store).complete  # what failed is tried again


def test_networks_that_die_are_results_and_not_errors(tmp_path):
    # Of 12 layers of 2 ReLUs nearly all die: with all weights of a layer negative, 1 in 4, nothing is left.
    settings = replace(TINY, depth=12, width=2, batch_size=2, pairs=4, seeds=8)
    with Store(tmp_path / "store.db") as store:
        found = run(prepare(settings), store)
    assert found.complete
    broken = [row for row in found.rows() if row.width == FINITE and not math.isfinite(row.estimate.value)]
    assert {"gradient_growth", "pair_correlation"} <= {row.quantity for row in broken}
    assert all("not finite in" in row.method for row in broken)
    assert found.regimes()["none"]["gradient"].verdict == "inconclusive"
    assert "broke down" in found.regimes()["none"]["gradient"].reason
    assert np.isfinite([row.estimate.value for row in found.rows() if row.width == INFINITE]).all()
    assert '"nan"' in to_json(found)
