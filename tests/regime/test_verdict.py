import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkcheck.regime import classify, critical_band
from ntkcheck.regime.verdict import regimes
from ntkcheck.stats import Estimate, Interval, interval

BAND = critical_band(50)


@pytest.mark.parametrize("depth", [2, 16, 50, 1000])
def test_at_the_edges_of_the_critical_band_the_depth_scale_is_the_depth(depth):
    band = critical_band(depth)
    assert -1 / math.log(band.low) == pytest.approx(depth, rel=1e-12)
    assert 1 / math.log(band.high) == pytest.approx(depth, rel=1e-12)


@pytest.mark.parametrize(
    ("growth", "verdict"),
    [
        ((1.1, 1.2), "chaotic"),
        ((0.8, 0.9), "ordered"),
        ((0.99, 1.01), "critical"),
        ((1.0, 1.0), "critical"),
        (tuple(BAND), "critical"),
        ((0.9, 1.0), "inconclusive"),
        ((1.0, 1.1), "inconclusive"),
        ((0.9, 1.1), "inconclusive"),
        ((math.inf, math.inf), "chaotic"),
        ((math.nan, math.nan), "inconclusive"),
    ],
)
def test_a_regime_is_where_the_interval_lies(growth, verdict):
    assert classify(Interval(*growth), BAND) == verdict


@settings(deadline=None, max_examples=200)
@given(st.floats(0.5, 2), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_narrower_interval_never_contradicts_a_wider_one(centre, half, extra):
    narrow, wide = (Interval(centre - width, centre + width) for width in (half, half + extra))
    assert classify(wide, BAND) in (classify(narrow, BAND), "inconclusive")


@settings(deadline=None, max_examples=100)
@given(st.floats(0.5, 2), st.floats(0, 0.3))
def test_turning_growth_into_decay_turns_chaos_into_order(low, length):
    growth = Interval(low, low + length)
    inverse = Interval(1 / growth.high, 1 / growth.low)
    turned = {"chaotic": "ordered", "ordered": "chaotic"}
    found = classify(growth, BAND)
    assert classify(inverse, BAND) == turned.get(found, found)


def test_the_two_respects_are_judged_apart_by_their_own_growth():
    finite = {"correlation": Estimate(1.467, 0.003, 10), "gradient": Estimate(1.001, 0.002, 10)}
    infinite = {"correlation": Estimate(1.46694, 0.0, 0), "gradient": Estimate(1.0, 0.0, 0)}
    judged = regimes(finite, infinite, depth=50, level=0.95)
    assert {respect: (r.verdict, r.theory) for respect, r in judged.items()} == {
        "correlation": ("chaotic", "chaotic"),
        "gradient": ("critical", "critical"),
    }
    correlation = judged["correlation"]
    assert correlation.band == BAND
    assert correlation.interval == interval(Estimate(1.467, 0.003, 10), 0.95)
    assert correlation.reason == (
        "the distance of close inputs grows by 1.4670 [1.4602, 1.4738] per layer, above the critical band "
        "[0.9802, 1.0202]; infinite width 1.4669, chaotic"
    )


def test_what_was_not_measured_has_no_regime_or_no_theory():
    finite = {"correlation": None, "gradient": Estimate(1.0, 0.1, 10)}
    judged = regimes(finite, {"gradient": None}, depth=50, level=0.95)
    assert judged.keys() == {"gradient"}
    assert (judged["gradient"].verdict, judged["gradient"].theory) == ("inconclusive", "inconclusive")
    assert "across an edge of the critical band" in judged["gradient"].reason
    assert "infinite width" not in judged["gradient"].reason
    assert regimes({}, finite, depth=50, level=0.95) == {}


def test_a_breakdown_is_inconclusive_and_said():
    finite, infinite = {"gradient": Estimate(math.nan, math.nan, 10)}, {"gradient": Estimate(math.inf, 0.0, 0)}
    gradient = regimes(finite, infinite, depth=50, level=0.95)["gradient"]
    assert (gradient.verdict, gradient.theory) == ("inconclusive", "chaotic")
    assert gradient.reason == (
        "the growth per layer of the squared gradient broke down: not finite in at least one of 10 networks; "
        "infinite width inf, chaotic"
    )
