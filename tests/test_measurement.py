import math

import numpy as np
import pytest

from ntkcheck.measurement import confidence_interval, series, summarize, with_error
from ntkcheck.stats import Estimate, Interval, interval, mean_estimate


def test_finite_samples_are_summarised_by_their_mean():
    samples = np.random.default_rng(0).standard_normal(12)
    assert summarize(samples) == mean_estimate(samples)


@pytest.mark.parametrize(("broken", "value"), [(math.nan, math.nan), (math.inf, math.inf), (-math.inf, -math.inf)])
def test_a_sample_that_broke_down_is_kept_and_has_no_error(broken, value):
    found = summarize(np.array([1.0, broken, 2.0]))
    np.testing.assert_equal(found, (value, math.nan, 3))


def test_the_interval_of_a_breakdown_is_itself():
    estimate = Estimate(1.5, 0.1, 10)
    assert confidence_interval(estimate, 0.9) == interval(estimate, 0.9)
    assert confidence_interval(Estimate(math.inf, 0.0, 0), 0.9) == Interval(math.inf, math.inf)
    np.testing.assert_equal(confidence_interval(Estimate(math.nan, math.nan, 4), 0.9), (math.nan, math.nan))


def test_a_series_is_a_mean_at_every_place_with_its_standard_error():
    samples = np.array([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]])
    found = series(samples, [1, 2])
    np.testing.assert_array_equal(found.value, [3, 2])
    np.testing.assert_allclose(found.sem, [2 / 3**0.5, 0])
    assert (found.n, list(found.at)) == (3, [1, 2])
    single = series(samples[:1], [1, 2])
    np.testing.assert_array_equal(single.sem, [0, 0])
    assert single.n == 0


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (Estimate(1.46942, 0.0123, 10), "1.469(12)"),
        (Estimate(1.46942, 0.003, 10), "1.469(3)"),
        (Estimate(-0.1, 0.2, 10), "-0.1(2)"),
        (Estimate(1234.5, 56.0, 10), "1234(56)"),
        (Estimate(3.2e6, 1e5, 10), "3.20e+06 ± 1e+05"),
        (Estimate(1.46942, 2.1e-8, 10), "1.46942000(2)"),
        (Estimate(1.46942, 1.9e-8, 10), "1.469420000(19)"),
        (Estimate(3.6e-16, 1e-17, 10), "3.60(10)e-16"),
        (Estimate(-0.5, 2.3e-10, 10), "-5.000000000(2)e-01"),
        (Estimate(9.9999999996e-12, 1e-13, 10), "1.000(10)e-11"),  # rounded up to the next power of ten
        (Estimate(0.0, 3e-12, 10), "0(3)e-12"),
        (Estimate(1.0, 1e-16, 10), "1.00000000000000000(10)"),
        (Estimate(1.0, 1e-30, 10), "1 ± 1e-30"),  # thirty digits, of which a double has 17
        (Estimate(1.46694220, 0.0, 0), "1.4669"),
        (Estimate(math.inf, 0.0, 0), "inf"),
        (Estimate(math.nan, math.nan, 3), "nan"),
        (None, "-"),
    ],
)
def test_errors_are_written_in_the_last_digits(estimate, words):
    assert with_error(estimate) == words
