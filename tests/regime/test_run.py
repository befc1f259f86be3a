"""The run: stages in order, everything kept as soon as it is there, numbers that do not depend on what else is asked."""

import functools
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from ntkcheck import claims
from ntkcheck.measurement import FINITE, INFINITE, Measurement
from ntkcheck.regime import Result, finite, prepare, run, theory
from ntkcheck.regime.document import to_json
from ntkcheck.regime.run import _evidence
from ntkcheck.stats import Estimate
from tests.regime import TINY, experiment

STAGES = ["none, infinite width", "none, finite width", "claim MN-3", "claim MN-7"]


@functools.cache
def recorded():
    """A run, the stages that it announced, and how much there was at every change."""
    stages, changes = [], []
    result = run(
        Result(experiment()),
        claim_ids=("MN-3", "MN-7"),
        on_stage=lambda *stage: stages.append(stage),
        on_change=lambda result: changes.append((len(result.seconds), len(result.measurements), result.complete)),
    )
    return result, stages, changes


def test_stages_are_announced_in_order_and_counted():
    _, stages, _ = recorded()
    assert stages == [(name, done, 4) for done, name in enumerate([*STAGES, "done"])]


def test_every_stage_is_kept_as_soon_as_it_is_done():
    result, _, changes = recorded()
    assert [(seconds, complete) for seconds, _, complete in changes] == [
        (1, False),
        (2, False),
        (3, False),
        (4, False),
        (4, True),
    ]
    counts = [count for _, count, _ in changes]
    assert counts == sorted(counts)
    assert counts[0] > 0
    assert list(result.seconds) == STAGES


def test_a_run_has_both_widths_of_every_quantity_and_the_claims():
    result, _, _ = recorded()
    quantities = {width: {m.quantity for m in result.measurements if m.width == width} for width in (INFINITE, FINITE)}
    for quantity in ("correlation_slope", "gradient_growth", "second_moment_growth", "ntk_condition"):
        assert quantity in quantities[INFINITE] & quantities[FINITE]
    assert result.regimes()["none"].keys() == {"correlation", "gradient"}
    assert {(c.quantity, c.width) for c in result.curves} == {
        (quantity, width)
        for quantity in ("correlation", "ntk_off_diagonal", "gradient")
        for width in (INFINITE, FINITE)
    }
    assert result.complete


def test_claims_about_networks_are_untested_where_the_networks_are_not_the_papers():
    verdicts = recorded()[0].verdicts()
    assert verdicts["MN-3"].verdict == "refuted"  # rests on a simulation of its own
    assert verdicts["MN-7"].verdict == "untested"
    assert "not measured in this run" in verdicts["MN-7"].reason


@pytest.mark.parametrize(
    ("changes", "answered"),
    [({}, True), ({"activation": "erf"}, False), ({"sigma_w": 1.0}, False), ({"width": 100}, False)],
)
def test_only_networks_that_the_claims_speak_of_are_evidence(changes, answered):
    result = Result(prepare(replace(TINY, **{"width": 300, "depth": 50} | changes)))
    estimate = Estimate(1 - 1 / math.pi, 1e-4, 10)
    result.measurements.add(Measurement("weight_mean", "second_moment_growth", FINITE, estimate, "made up"))
    found, _ = claims.measure("MN-7", _evidence(result))
    assert (found["growth_exact"] is not None) == answered
    assert claims.verdicts({"MN-7": found})["MN-7"].verdict == ("qualified" if answered else "untested")


def test_numbers_do_not_depend_on_what_else_is_asked():
    other = prepare(replace(TINY, normalizers=("batch_norm", "none")))
    again = [*theory.measure(other, "none")[0], *finite.measure(other, "none")[0]]
    assert again == [m for m in recorded()[0].measurements if m.subject == "none"]
    reseeded = finite.measure(experiment(seed=1), "none")[0]
    for measurement, before in zip(reseeded, again[-len(reseeded) :], strict=True):
        assert measurement.quantity == before.quantity
        if measurement.quantity != "share_near_zero":  # power; a share of few pairs may come out the same
            assert measurement.estimate != before.estimate


def test_an_interruption_leaves_what_was_measured():
    result = Result(experiment())

    def interrupt(result):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(result, on_change=interrupt)
    found = json.loads(to_json(result))
    assert found["complete"] is False
    assert list(found["times"]["seconds"]) == STAGES[:1]
    assert {row["width"] for row in found["measurements"]} == {INFINITE}


def test_batches_of_two_and_networks_that_die_are_results_and_not_errors():
    # Of 12 layers of 2 ReLUs nearly all die: with all weights of a layer negative, 1 in 4, nothing is left.
    settings = replace(TINY, depth=12, width=2, batch_size=2, pairs=4, seeds=8)
    result = run(Result(prepare(settings)), claim_ids=("LT-1",))
    assert result.complete
    assert result.verdicts()["LT-1"].verdict == "untested"
    broken = [m for m in result.measurements if m.width == FINITE and not math.isfinite(m.estimate.value)]
    assert {"gradient_growth", "pair_correlation"} <= {m.quantity for m in broken}
    assert all("not finite in" in m.method for m in broken)
    assert result.regimes()["none"]["gradient"].verdict == "inconclusive"
    assert "broke down" in result.regimes()["none"]["gradient"].reason
    assert np.isfinite([m.estimate.value for m in result.measurements if m.width == INFINITE]).all()
    assert '"nan"' in to_json(result)
