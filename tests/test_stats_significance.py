"""Tests against bounds and their corrections: false positives at the boundary, and power inside."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkcheck.stats import Estimate, equivalence_test, greater_test, holm, interval, less_test, mean_estimate

TRIALS = 2000
# Four standard errors of a share of 5% over the trials: what a test of size 5% may exceed it by.
SIZE_SLACK = 4 * math.sqrt(0.05 * 0.95 / TRIALS)


def estimates(mean, seed, n=8, trials=TRIALS):
    return [mean_estimate(row) for row in np.random.default_rng(seed).normal(mean, 1.0, (trials, n))]


def rejected_share(p_values, alpha=0.05):
    return np.mean(np.asarray(p_values) <= alpha)


@pytest.mark.parametrize(("test", "outside", "inside"), [(greater_test, 0.0, 1.5), (less_test, 0.0, -1.5)])
def test_one_sided_test_rejects_at_its_size_on_the_bound_and_nearly_always_far_inside(test, outside, inside):
    # On the bound p is uniform. Power: 1.5 standard deviations inside, n = 8, a noncentral t of 4.2: above 0.95.
    assert abs(rejected_share([test(e, 0.0) for e in estimates(outside, 1)]) - 0.05) <= SIZE_SLACK
    assert rejected_share([test(e, 0.0) for e in estimates(inside, 2)]) > 0.95


def test_one_sided_p_value_has_its_closed_form_for_two_samples():
    # Student's t with one degree of freedom is Cauchy: P(T >= t) = 1/2 - arctan(t) / pi. scipy: about 1e-15.
    estimate = Estimate(1.0, 0.5, 2)
    assert greater_test(estimate, 0.25) == pytest.approx(0.5 - math.atan(1.5) / math.pi, rel=1e-13)
    assert less_test(estimate, 0.25) == pytest.approx(0.5 + math.atan(1.5) / math.pi, rel=1e-13)


def test_equivalence_test_holds_its_size_where_the_truth_lies_on_a_margin():
    # The other margin is 5 standard errors of 1 / sqrt(8) away and hardly matters: the size is 0.05 from below.
    on_margin = estimates(1.0, 3)
    share = rejected_share([equivalence_test(e, -1.0, 1.0) for e in on_margin])
    assert 0.05 - 2 * SIZE_SLACK <= share <= 0.05 + SIZE_SLACK
    # Power of the check: "the interval holds a point inside the margins", the usual misuse, accepts far too often.
    misuse = [low < 1.0 and high > -1.0 for low, high in (interval(e) for e in on_margin)]
    assert np.mean(misuse) > 0.05 + SIZE_SLACK


def test_equivalence_test_finds_equivalence_at_the_centre():
    # Margins +-2 standard deviations, n = 8: the centre is 5.7 standard errors from both.
    assert rejected_share([equivalence_test(e, -2.0, 2.0) for e in estimates(0.0, 4)]) > 0.95


@given(st.floats(-3, 3), st.floats(0.01, 3), st.integers(2, 30))
def test_equivalence_at_five_percent_is_the_ninety_percent_interval_inside_the_margins(value, sem, n):
    estimate = Estimate(value, sem, n)
    p = equivalence_test(estimate, -1.0, 1.0)
    low, high = interval(estimate, 0.9)
    clearance = min(low + 1.0, 1.0 - high)
    # The two agree except within rounding of the boundary.
    assert (p < 0.05) == (clearance > 0) or abs(clearance) < 1e-9


def test_value_without_noise_is_inside_or_outside_for_certain():
    inside, on_margin = Estimate(0.5, 0.0, 0), Estimate(1.0, 0.0, 0)
    assert equivalence_test(inside, 0.0, 1.0) == 0.0
    assert equivalence_test(on_margin, 0.0, 1.0) == 1.0
    assert (greater_test(inside, 0.4), greater_test(inside, 0.5), greater_test(inside, 0.6)) == (0.0, 1.0, 1.0)
    assert (less_test(inside, 0.4), less_test(inside, 0.5), less_test(inside, 0.6)) == (1.0, 1.0, 0.0)


def test_open_margin_leaves_the_other_one():
    estimate = Estimate(1.0, 0.5, 6)
    assert equivalence_test(estimate, 0.0, math.inf) == greater_test(estimate, 0.0)
    assert equivalence_test(estimate, -math.inf, 2.0) == less_test(estimate, 2.0)


def test_tests_refuse_bounds_that_are_none():
    estimate = Estimate(1.0, 0.5, 6)
    with pytest.raises(ValueError, match=r"`low` must lie below `high`, got 2\.0 and 1\.0; swap"):
        equivalence_test(estimate, 2.0, 1.0)
    with pytest.raises(ValueError, match="`low` must lie below `high`, got nan"):
        equivalence_test(estimate, math.nan, 1.0)
    with pytest.raises(ValueError, match="`bound` must be a number, got nan"):
        less_test(estimate, math.nan)


def test_tests_refuse_an_estimate_that_broke_down():
    with pytest.raises(ValueError, match="`estimate` must be finite, got value nan"):
        equivalence_test(Estimate(math.nan, 0.1, 5), 0.0, 1.0)


def closed_testing(p):
    """Each p value raised to the largest Bonferroni p value of a set of hypotheses that holds it."""
    adjusted = np.zeros(len(p))
    for size in range(1, len(p) + 1):
        for members in itertools.combinations(range(len(p)), size):
            joint = min(1.0, size * min(p[i] for i in members))
            adjusted[list(members)] = np.maximum(adjusted[list(members)], joint)
    return adjusted


@given(st.lists(st.sampled_from([0.0, 0.001, 0.01, 0.013, 0.02, 0.04, 0.3, 1.0]), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_all_subsets(p_values):
    # Both multiply a p value by an integer once: equal up to one rounding.
    assert holm(np.array(p_values)) == pytest.approx(closed_testing(p_values), rel=1e-15)


def test_holm_controls_the_family_wise_error_and_finds_more_than_bonferroni():
    # Five true nulls beside five strong effects (mean 1.3 standard deviations, n = 8), families of ten.
    families = 400
    means = np.repeat([0.0, 1.3], 5)
    data = np.random.default_rng(5).normal(means[:, None], 1.0, (families, 10, 8))
    raw = np.array([[greater_test(mean_estimate(row), 0.0) for row in family] for family in data])
    adjusted = np.array([holm(p) for p in raw])

    def family_wise_error(p):
        return np.mean((p[:, :5] <= 0.05).any(axis=1))

    allowed = 0.05 + 4 * math.sqrt(0.05 * 0.95 / families)
    assert family_wise_error(adjusted) <= allowed
    # Power: without the adjustment a false rejection has probability 1 - 0.95^5 = 0.226.
    assert family_wise_error(raw) > allowed
    assert np.sum(adjusted[:, 5:] <= 0.05) > np.sum(raw[:, 5:] <= 0.05 / 10)


@pytest.mark.parametrize(
    ("p_values", "message"),
    [
        (np.array([0.5, 1.5]), r"`p_values` must lie in \[0, 1\], got 0.5 to 1.5"),
        (np.array([-0.1, 0.5]), r"`p_values` must lie in \[0, 1\], got -0.1"),
        (np.array([0.5, math.nan]), "`p_values` must be finite, got nan at index 1"),
        (np.array([]), "`p_values` must hold at least 1 values, got 0"),
    ],
)
def test_holm_refuses_what_is_no_probability(p_values, message):
    with pytest.raises(ValueError, match=message):
        holm(p_values)
