"""A measurement against its bounds: where it is drawn, and the words for those who do not see it."""

import math

import pytest

from ntkcheck import claims
from ntkcheck.report.interval_plot import LEFT, MINUS, RIGHT, bounds, figures, percent, plot
from ntkcheck.stats import Estimate

LEVEL = 0.99


def drawn(estimate, low=-math.inf, high=math.inf):
    claim = claims.Claim("XY-1", "It is so.", "Nobody 2020", (claims.Test("quantity", "a quantity", low, high),))
    return plot(claims.judge(claim, {"quantity": estimate}, LEVEL).outcomes[0], LEVEL)


def test_what_is_drawn_keeps_its_order_and_stays_within_the_figure():
    found = drawn(Estimate(1.5, 0.01, 10), 0.9, 1.2)
    places = [*found.band, found.interval[0], found.point, found.interval[1]]
    assert places == sorted(places)
    assert LEFT <= places[0] < places[-1] <= RIGHT


def test_distances_are_to_scale():
    found = drawn(Estimate(3.0, 0.0, 0), 1.0, 2.0)
    assert found.point - found.band[1] == pytest.approx(
        found.band[1] - found.band[0], abs=0.02
    )  # places have 2 decimals


def test_an_open_side_reaches_the_edge():
    found = drawn(Estimate(0.8, 0.01, 5), low=0.7)
    assert found.is_open == (False, True)
    assert found.band[1] == RIGHT
    assert (found.low, found.high) == ("0.7", "")


def test_a_number_without_noise_has_no_interval_and_one_that_broke_down_no_point():
    assert drawn(Estimate(1.0, 0.0, 0), 0.9, 1.1).interval is None
    broken = drawn(Estimate(math.nan, math.nan, 3), 0.9, 1.1)
    assert (broken.point, broken.interval) == (None, None)
    assert "broke down (nan)" in broken.alternative


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (
            Estimate(1.0, 0.001, 100),
            "quantity: measured 1.0000(10), 99% interval 0.9973736 to 1.002626, which lies inside",
        ),
        (Estimate(2.0, 0.0, 0), "quantity: measured 2, without sampling noise, which lies outside the bounds"),
        (Estimate(1.1, 0.05, 100), "which lies across a bound; the claim predicts 0.9 to 1.1."),
        (None, "quantity: not measured; the claim predicts 0.9 to 1.1."),
    ],
)
# 2.62641 is the 99.5% quantile of Student's t with 99 degrees of freedom.
def test_the_alternative_says_what_is_seen(estimate, words):
    assert words in drawn(estimate, 0.9, 1.1).alternative


def test_bounds_levels_and_numbers_in_words():
    assert bounds(claims.Test("q", "q", 0.7, math.inf)) == "at least 0.7"
    assert bounds(claims.Test("q", "q", -math.inf, -10)) == f"at most {MINUS}10"
    assert figures(-1e-6) == f"{MINUS}1e{MINUS}06"
    assert [percent(level) for level in (0.9, 0.95, 0.99, 0.99987)] == ["90%", "95%", "99%", "99.987%"]
