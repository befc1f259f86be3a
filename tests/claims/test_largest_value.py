"""The largest value that BatchNorm puts out: the bound, the Gaussian law, heavy tails."""

import math

import jax
import numpy as np
import pytest
from scipy import integrate

from ntkcheck.claims.largest_value import gaussian_largest, largest_value


def measured(population="gaussian", batch_size=128, batches=100, features=64, samples=8192):
    arguments = {"batch_size": batch_size, "features": features, "batches": batches, "samples": samples, "seed": 0}
    found = largest_value(jax.random.key(0), population=population, **arguments)
    return {each.quantity: each.estimate for each in found}


@pytest.mark.parametrize("features", [1, 5])
def test_values_of_three_follow_the_arcsine_law(features):
    # |y| / sqrt 2 is the sine of a uniform angle u pi / 2, so that P(|y| < t) = u and dt = pi / sqrt 2 cos(u pi / 2) du.
    def tail(u):
        return (1 - u ** (3 * features)) * math.pi / math.sqrt(2) * math.cos(math.pi * u / 2)

    assert gaussian_largest(3, features) == pytest.approx(integrate.quad(tail, 0, 1, epsabs=1e-12)[0], rel=1e-8)
    assert gaussian_largest(4, features) != pytest.approx(integrate.quad(tail, 0, 1)[0], rel=0.05)  # power


@pytest.mark.parametrize("batch_size", [8, 128])
def test_the_largest_gaussian_value_follows_its_law(batch_size):
    value, sem, _ = measured(batch_size=batch_size)["largest"]
    # Two values of one feature beyond the level that one of m d exceeds on average: at most 1 / (2 d) of the probability, and so
    # less than that of the value.
    assert abs(value - gaussian_largest(batch_size, 64)) <= 4 * sem + value / 128
    for wrong in (batch_size // 2, 2 * batch_size):  # power
        assert abs(value - gaussian_largest(wrong, 64)) > 4 * sem + value / 128


def test_heavy_tails_are_larger_and_nothing_is_beyond_the_bound():
    gaussian, heavy = (measured(name, 32) for name in ("gaussian", "student_t"))
    assert heavy["largest"].value > gaussian["largest"].value + 0.5
    for found in (gaussian, heavy):
        assert found["largest_quantile"].value[-1] <= math.sqrt(31) * (1 + 1e-12)
        assert found["largest_over_bound"].value == pytest.approx(found["largest"].value / math.sqrt(31), rel=1e-12)


def test_quantiles_are_in_order_around_the_mean_with_errors_of_their_own():
    found = measured(batches=50)
    low, median, high = found["largest_quantile"].value
    assert low < median < high
    assert low < found["largest"].value < high
    errors = found["largest_quantile"].sem
    assert (errors > 0).all()
    # The median's error is about 1.25 of the mean's for a normal law: within a factor 2.5 of it for 50 batches and this skewness.
    assert 0.4 < errors[1] / found["largest"].sem < 2.5


def test_a_batch_has_different_samples():
    # 16 samples in batches of 16: every batch is the whole.
    found = measured(batch_size=16, batches=3, features=2, samples=16)
    assert found["largest"].sem == pytest.approx(0, abs=1e-12)
    assert np.ptp(found["largest_quantile"].value) == pytest.approx(0, abs=1e-12)
