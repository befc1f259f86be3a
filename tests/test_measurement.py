import math

import numpy as np
import pytest

from ntkcheck.measurement import FINITE, INFINITE, Measurement, Measurements, confidence_interval, summarize
from ntkcheck.stats import Estimate, Interval, interval, mean_estimate


def measurement(subject="none", quantity="gradient_growth", width=FINITE, value=1.0):
    return Measurement(subject, quantity, width, Estimate(value, 0.1, 10), "made up")


def test_measurements_are_found_by_subject_quantity_and_width():
    found = Measurements()
    found.add(measurement())
    found.add(measurement(width=INFINITE, value=2.0))
    assert found.find("none", "gradient_growth") == Estimate(1.0, 0.1, 10)
    assert found.find("none", "gradient_growth", INFINITE) == Estimate(2.0, 0.1, 10)
    assert found.find("none", "correlation_slope") is None
    assert found.find("batch_norm", "gradient_growth") is None


def test_measurements_keep_their_order():
    found = Measurements()
    made = [measurement(subject) for subject in ("b", "a", "c")]
    for each in made:
        found.add(each)
    assert list(found) == made
    assert len(found) == 3


def test_a_second_measurement_of_the_same_is_refused():
    found = Measurements()
    found.add(measurement())
    message = r"`measurement` \('none', 'gradient_growth', 'finite'\) was made already; give the second one a name"
    with pytest.raises(ValueError, match=message):
        found.add(measurement(value=2.0))
    assert found.find("none", "gradient_growth") == Estimate(1.0, 0.1, 10)


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
