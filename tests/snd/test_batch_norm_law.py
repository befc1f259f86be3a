"""BatchNorm's exact law: against scipy's noncentral t, against the measured disturbance, and in its limits."""

import functools

import jax
import numpy as np
import pytest
from scipy import integrate, special

from ntkcheck import snd
from ntkcheck.snd import batch_norm_law, batch_norm_many_features, isotropic_zca
from ntkcheck.stats import fit_power_law, interval

KEY = jax.random.key(0)


def second_moment(m):
    """E Var(x_hat | x) with r = (delta + Z) / chi, Z normal and chi^2 with m - 2 degrees of freedom: Gauss rules for each."""
    x, x_weights = np.polynomial.hermite_e.hermegauss(60)
    half, chi_weights = special.roots_genlaguerre(60, (m - 2) / 2 - 1)
    weights = x_weights[:, None] * chi_weights / (x_weights.sum() * chi_weights.sum())

    def variance(anchor):
        r = ((m - 1) ** 0.5 * anchor + x[:, None]) / np.sqrt(2 * half)
        x_hat = (m - 1) ** 0.5 * r / np.sqrt(m + r**2)
        return np.sum(weights * x_hat**2) - np.sum(weights * x_hat) ** 2

    return sum(w * variance(anchor) for w, anchor in zip(x_weights, x, strict=True)) / x_weights.sum()


@pytest.mark.parametrize("m", [16, 256])
def test_the_variance_is_that_of_the_noncentral_t_law(m):
    # 60 nodes each for functions that vary on the scale of their weights: 1e-9 by doubling them.
    assert batch_norm_many_features(1, m)[0] ** 2 == pytest.approx(second_moment(m), rel=1e-7)
    # Power: one mate more is another law.
    assert abs(batch_norm_many_features(1, m + 1)[0] ** 2 / second_moment(m) - 1) > 1e-3


def test_a_batch_of_two_gives_signs():
    # x_hat = 1 with probability p = Phi(x), uniform: E |x_hat - (2 p - 1)| = E 4 p (1 - p) = 2/3, and W = 4 (1 - p)^2 or 4 p^2.
    assert batch_norm_law(1, 2) == pytest.approx(2 / 3, rel=1e-9)
    # d = 2, given p_1, p_2: sqrt(W_1 + W_2) over signs; both signs and both p are alike.
    inner = lambda p, q: 4 * p * q * 2 * np.hypot(1 - p, 1 - q)  # noqa: E731
    assert batch_norm_law(2, 2) == pytest.approx(integrate.dblquad(inner, 0, 1, 0, 1)[0], rel=1e-8)


def test_large_batches_and_many_features_have_the_law_of_first_order():
    # Relative remainders: about 0.8 / m in m; in d the next order of Var W / (8 d (E W)^2), 1 / (8 d^2).
    for d in (1, 2, 64):
        assert batch_norm_law(d, 10**5) == pytest.approx(isotropic_zca(d, 1, 10**5, mean=True), rel=2e-5)
    limit, excess = batch_norm_many_features(256, 50)
    assert batch_norm_law(256, 50) == pytest.approx(limit * (1 - excess), rel=1e-5)
    assert batch_norm_law(256, 50) != pytest.approx(limit, rel=1e-3)
    # For m to infinity E W = 3 / (2 m) and the excess is 1 / (3 d).
    limit, excess = batch_norm_many_features(10, 10**5)
    assert limit**2 * 10**5 / 10 == pytest.approx(1.5, rel=1e-4)
    assert excess == pytest.approx(1 / 30, rel=1e-3)


@functools.cache
def measured(m):
    population = np.random.default_rng(m).standard_normal((20000, 8)) * np.geomspace(1, 100, 8) + 5
    return snd.estimate("batch_norm", population, m, 2000, 50, key=KEY)


@pytest.mark.parametrize("m", [16, 64, 256, 1024])
def test_the_estimate_is_within_four_standard_errors_of_the_exact_law(m):
    found, exact = measured(m), batch_norm_law(8, m)
    assert abs(found.value - exact) <= 4 * found.sem
    # Power: 10% would be seen everywhere.
    assert 4 * found.sem < 0.1 * exact


def test_the_disturbance_falls_like_the_root_of_the_batch_size():
    # IN-3. From m = 64 on the exact law has the slope -0.498.
    m = (64, 256, 1024)
    value, sem = np.array([measured(each)[:2] for each in m]).T
    exponent = fit_power_law(np.array(m, float), value, sem).exponent
    low, high = interval(exponent)
    assert low <= -0.5 <= high
    # With one degree of freedom the interval is 12.7 standard errors. Power, at four: 0.05 in the slope would be seen.
    assert abs(exponent.value + 0.5) <= 4 * exponent.sem < 0.05


def test_bad_numbers_are_refused():
    with pytest.raises(
        ValueError, match="`batch_size` must be a whole number of at least 2, got 1: SND is over the other"
    ):
        batch_norm_law(4, 1)
    with pytest.raises(ValueError, match="`features` must be a whole number of at least 1, got 0"):
        batch_norm_law(0, 16)
