"""Estimates and intervals: closed forms for few samples, and coverage of a known truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special

from ntkcheck.stats import (
    Estimate,
    Interval,
    bonferroni_level,
    bootstrap_interval,
    interval,
    mean_estimate,
    samples_to_decide,
    wilson_interval,
)

TRIALS = 2000


def covered_share(samples, truth, level=0.95, claimed_n=None):
    """The share of rows whose interval covers the truth; `claimed_n` lies about the number of samples."""
    hits = 0
    for row in samples:
        estimate = mean_estimate(row)
        low, high = interval(estimate._replace(n=claimed_n or estimate.n), level)
        hits += low <= truth <= high
    return hits / len(samples)


def four_errors(share, trials):
    """Four standard errors of a share that is counted in independent trials."""
    return 4 * math.sqrt(share * (1 - share) / trials)


def test_mean_estimate_is_the_mean_and_its_standard_error():
    # Deviations -2, -1, 3 from the mean 3: variance 14 / 2, standard error sqrt(7 / 3). A few roundings: 1e-15 relative.
    value, sem, n = mean_estimate(np.array([1.0, 2.0, 6.0]))
    assert (value, n) == (3.0, 3)
    assert sem == pytest.approx(math.sqrt(7 / 3), rel=1e-15)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_interval_has_students_width_for_two_and_three_samples(level):
    # The quantiles of Student's t with 1 and 2 degrees of freedom in closed form; scipy's are good to about 1e-13.
    cauchy = math.tan(math.pi * level / 2)
    two_degrees = level * math.sqrt(2 / ((1 - level) * (1 + level)))
    assert interval(Estimate(1.0, 0.25, 2), level).high - 1 == pytest.approx(0.25 * cauchy, rel=1e-11)
    assert interval(Estimate(1.0, 0.25, 3), level).high - 1 == pytest.approx(0.25 * two_degrees, rel=1e-11)


def test_interval_covers_the_truth_at_its_level():
    samples = np.random.default_rng(1).normal(3.0, 2.0, (TRIALS, 5))
    assert abs(covered_share(samples, 3.0) - 0.95) <= four_errors(0.95, TRIALS)
    assert abs(covered_share(samples, 3.0, level=0.8) - 0.8) <= four_errors(0.8, TRIALS)
    # Power: the normal quantile in place of Student's covers P(|t_4| < 1.96) = 0.878, and the check sees it.
    assert abs(covered_share(samples, 3.0, claimed_n=10**6) - 0.95) > four_errors(0.95, TRIALS)


def test_bonferroni_intervals_hold_together_at_their_level():
    # Ten independent intervals: all hold with probability (1 - 0.05 / 10)^10 = 0.9511, which four errors do not tell
    # from 0.95; without the correction with 0.95^10 = 0.599.
    count, families = 10, 1000
    samples = np.random.default_rng(2).normal(0.0, 1.0, (families * count, 4))

    def all_hold(level):
        covers = [low <= 0 <= high for low, high in (interval(mean_estimate(row), level) for row in samples)]
        return np.reshape(covers, (families, count)).all(axis=1).mean()

    assert all_hold(bonferroni_level(0.95, count)) >= 0.95 - four_errors(0.95, families)
    assert all_hold(0.95) < 0.95 - four_errors(0.95, families)


def test_interval_of_a_value_without_noise_is_the_point():
    assert interval(Estimate(1.46694, 0.0, 0)) == Interval(1.46694, 1.46694)
    assert interval(Estimate(2.0, 0.0, 5)) == Interval(2.0, 2.0)


@pytest.mark.parametrize(
    ("estimate", "message"),
    [
        (Estimate(math.nan, 0.1, 5), "`estimate` must be finite, got value nan"),
        (Estimate(math.inf, 0.0, 0), "`estimate` must be finite, got value inf"),
        (Estimate(1.0, math.inf, 5), "standard error inf"),
        (Estimate(1.0, -0.1, 5), "standard error of at least 0, got -0.1"),
        (Estimate(1.0, 0.1, 1), "at least 2 samples, got n=1 .* write sem=0.0, n=0"),
        (Estimate(1.0, 0.1, 0), "at least 2 samples, got n=0"),
        (Estimate(1.0, 0.0, 1), "at least 2 samples, got n=1"),
    ],
)
def test_interval_refuses_an_estimate_without_one(estimate, message):
    with pytest.raises(ValueError, match=message):
        interval(estimate)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, math.nan])
def test_interval_refuses_a_level_outside_zero_to_one(level):
    with pytest.raises(ValueError, match="`level` must lie strictly between 0 and 1, got"):
        interval(Estimate(0.0, 1.0, 5), level)


def test_bonferroni_level_refuses_an_empty_family():
    with pytest.raises(ValueError, match="`count` must be at least 1, got 0"):
        bonferroni_level(0.95, 0)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([1.0]), "`samples` must hold at least 2 values, got 1"),
        (np.ones((3, 2)), r"one-dimensional, got shape \(3, 2\)"),
        (np.array([1.0, math.nan, math.inf]), r"`samples` must be finite, got nan at index 1 \(2 in all\)"),
    ],
)
def test_mean_estimate_refuses_bad_samples(samples, message):
    with pytest.raises(ValueError, match=message):
        mean_estimate(samples)


def score_distance(p, successes, trials, z):
    """Zero where p is at the edge of what the score test accepts."""
    return (successes - trials * p) ** 2 - z**2 * trials * p * (1 - p)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))))
def test_wilson_interval_ends_where_the_score_test_rejects(counts):
    successes, trials = counts
    z = math.sqrt(2) * special.erfinv(0.95)
    low, high = wilson_interval(successes, trials)
    # brentq stops at 1e-13 in p. The bracket leaves out p = 1, a second root where every trial came out.
    share = successes / trials * (1 - 1e-6)
    oracle = optimize.brentq(score_distance, 0.0, share, args=(successes, trials, z), xtol=1e-13)
    assert low == pytest.approx(oracle, abs=1e-11)
    mirrored = wilson_interval(trials - successes, trials)
    assert high == pytest.approx(1 - mirrored.low, abs=1e-14)


def test_wilson_interval_covers_the_share_where_the_textbook_interval_does_not():
    # 19 of 20 as truth and 20 trials: exact coverage by enumeration, no sampling. Wilson's is 0.925 by the binomial's
    # steps (it oscillates by several percent about 0.95), the textbook interval p -+ z sqrt(p (1 - p) / n) has 0.64,
    # because it is a point where nothing fails: P(20 of 20) = 0.95^20 = 0.358 is lost at once.
    trials, truth = 20, 0.95
    mass = [math.comb(trials, k) * truth**k * (1 - truth) ** (trials - k) for k in range(trials + 1)]

    def coverage(ends):
        return sum(m for k, m in enumerate(mass) if ends(k)[0] <= truth <= ends(k)[1])

    def textbook(k):
        half = 1.96 * math.sqrt(k * (trials - k) / trials**3)
        return k / trials - half, k / trials + half

    assert coverage(lambda k: wilson_interval(k, trials)) > 0.9
    assert coverage(textbook) < 0.65


@pytest.mark.parametrize(("successes", "trials"), [(0, 7), (7, 7)])
def test_wilson_interval_of_an_extreme_share_is_no_point(successes, trials):
    low, high = wilson_interval(successes, trials)
    assert 0 <= low < high <= 1
    assert high - low > 0.3  # z^2 / (n + z^2) = 0.354


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 0), "`trials` must be at least 1, got 0"),
        ((5, 3), "`successes` must lie between 0 and `trials`=3, got 5"),
        ((-1, 3), "`successes` must lie between 0 and `trials`=3, got -1"),
        ((1, 3, 1.5), "`level` must lie strictly between 0 and 1, got 1.5"),
    ],
)
def test_wilson_interval_refuses_impossible_counts(arguments, message):
    with pytest.raises(ValueError, match=message):
        wilson_interval(*arguments)


def test_bootstrap_interval_covers_a_median_at_its_level():
    # 60 normal values: the bootstrap's coverage error is of order 1 / sqrt(60) times a small constant for a median;
    # 0.03 is allowed for it beside the four standard errors. The mid-80% interval is the power: it is 0.15 below.
    trials, slack = 300, 0.03
    samples = np.random.default_rng(3).normal(1.0, 1.0, (trials, 60))

    def coverage(level):
        ends = [bootstrap_interval(row, np.median, level, seed=i, resamples=999) for i, row in enumerate(samples)]
        return np.mean([low <= 1.0 <= high for low, high in ends])

    assert abs(coverage(0.95) - 0.95) <= four_errors(0.95, trials) + slack
    assert abs(coverage(0.8) - 0.95) > four_errors(0.95, trials) + slack


def test_bootstrap_interval_is_reproduced_by_its_seed_and_takes_plain_functions():
    samples = np.random.default_rng(4).exponential(1.0, 40)
    first = bootstrap_interval(samples, np.mean, seed=7, resamples=500)
    assert first == bootstrap_interval(samples, np.mean, seed=7, resamples=500)
    assert first != bootstrap_interval(samples, np.mean, seed=8, resamples=500)
    # The same resamples through a function of one vector: sums in another order differ by roundings.
    plain = bootstrap_interval(samples, lambda v: float(np.sum(v) / len(v)), seed=7, resamples=500)
    assert plain == pytest.approx(first, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (np.ones(20), np.mean),
            "`statistic` must be finite and vary over resamples, got 1.0 .* use `wilson_interval`",
        ),
        ((np.arange(9.0), lambda v: v[0] * math.nan), "`statistic` must be finite .* got nan"),
        ((np.ones(1), np.mean), "`samples` must hold at least 2 values, got 1"),
        ((np.arange(9.0), np.mean, 1.0), "`level` must lie strictly between 0 and 1, got 1.0"),
        ((np.arange(9.0), np.mean, 0.95, 0, 0), "`resamples` must be at least 1, got 0"),
    ],
)
def test_bootstrap_interval_refuses_what_it_cannot_resample(arguments, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(*arguments)


@pytest.mark.parametrize("distance", [0.3, 0.01])
def test_samples_to_decide_are_just_enough(distance):
    estimate = Estimate(1.0, 0.25, 4)
    more = samples_to_decide(estimate, (1.0 - distance, 3.0))

    def clears(n):
        low, _ = interval(Estimate(1.0, 0.25 * math.sqrt(4 / n), n))
        return low > 1.0 - distance

    assert clears(4 + more)
    assert not clears(4 + more - 1)


def test_samples_to_decide_takes_the_nearest_finite_bound():
    estimate = Estimate(1.0, 0.25, 4)
    nearest = samples_to_decide(estimate, (0.9,))
    assert nearest == samples_to_decide(estimate, (0.9, 2.0))
    assert nearest == samples_to_decide(estimate, (-math.inf, 1.1))
    assert nearest > samples_to_decide(estimate, (0.8,))
    assert nearest < samples_to_decide(estimate, (0.9,), level=0.99)


def test_samples_to_decide_knows_where_nothing_is_left_to_decide():
    assert samples_to_decide(Estimate(1.0, 0.001, 50), (0.5, 2.0)) == 0
    assert samples_to_decide(Estimate(1.0, 0.0, 0), (0.9, 2.0)) == 0
    assert samples_to_decide(Estimate(1.0, 0.1, 5), (1.0, 2.0)) is None
    assert samples_to_decide(Estimate(0.0, 0.1, 5), (5e-324, 2.0)) is None


@pytest.mark.parametrize("bounds", [(), (math.inf,), (math.nan, 1.0)])
def test_samples_to_decide_refuses_bounds_that_are_none(bounds):
    with pytest.raises(ValueError, match="`bounds` must hold at least one finite number and no nan"):
        samples_to_decide(Estimate(0.0, 1.0, 5), bounds)
