"""Fits of power laws: an independent least squares, coverage of a known exponent, honest errors for bad fits."""

import math

import numpy as np
import pytest

from ntkcheck.stats import fit_power_law, interval

WIDTHS = np.array([64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0])
TRIALS = 1000
# Four standard errors of a share of 95% over the trials.
SLACK = 4 * math.sqrt(0.95 * 0.05 / TRIALS)


def noisy_law(rng, relative_error, exponent=-0.5, prefactor=3.0):
    y = prefactor * WIDTHS**exponent
    return y * np.exp(relative_error * rng.standard_normal(len(WIDTHS)))


def exponent_coverage(fits, truth=-0.5):
    ends = [interval(fit.exponent) for fit in fits]
    return np.mean([low <= truth <= high for low, high in ends])


def test_fit_power_law_is_exact_on_an_exact_law():
    fit = fit_power_law(WIDTHS, 3.0 * WIDTHS**-0.5)
    # Logarithms up to 8 rounded at 1e-16, six points: 1e-14 with room.
    assert fit.exponent.value == pytest.approx(-0.5, abs=1e-14)
    assert fit.prefactor.value == pytest.approx(3.0, rel=1e-13)
    assert fit.dof == 4
    assert fit.exponent.sem < 1e-14


@pytest.mark.parametrize(
    ("relative_error", "covariance_scale"),
    [(None, True), (0.02, True), (2.0, "unscaled")],  # the scatter is 0.2: errors a tenth of it, and ten times it
)
def test_fit_power_law_agrees_with_polyfit(relative_error, covariance_scale):
    rng = np.random.default_rng(1)
    y = noisy_law(rng, 0.2)
    sem = None if relative_error is None else relative_error * y * rng.uniform(0.5, 1.5, len(y))
    weights = None if sem is None else y / sem
    fit = fit_power_law(WIDTHS, y, sem)
    coefficients, covariance = np.polyfit(np.log(WIDTHS), np.log(y), 1, w=weights, cov=covariance_scale)
    # A singular value decomposition of a matrix of condition about 10: 1e-12 with room.
    assert fit.exponent.value == pytest.approx(coefficients[0], rel=1e-12)
    assert fit.prefactor.value == pytest.approx(math.exp(coefficients[1]), rel=1e-12)
    assert fit.exponent.sem == pytest.approx(math.sqrt(covariance[0, 0]), rel=1e-11)
    assert fit.prefactor.sem == pytest.approx(fit.prefactor.value * math.sqrt(covariance[1, 1]), rel=1e-11)


def test_exponent_interval_from_the_scatter_covers_at_its_level():
    # Normal scatter in the logarithm, equal for all points: Student's interval with 4 degrees of freedom is exact.
    rng = np.random.default_rng(2)
    fits = [fit_power_law(WIDTHS, noisy_law(rng, 0.1)) for _ in range(TRIALS)]
    assert abs(exponent_coverage(fits) - 0.95) <= SLACK
    # Power: the same intervals do not cover an exponent that is off by 0.2 (its error is about 0.036).
    assert abs(exponent_coverage(fits, truth=-0.7) - 0.95) > SLACK


def test_exponent_interval_from_known_errors_covers_at_least_at_its_level():
    # Relative errors of 2%: the bias of log y, 0.0002, is a hundredth of them.
    rng = np.random.default_rng(3)
    law = 3.0 * WIDTHS**-0.5
    sem = 0.02 * law
    data = law + sem * rng.standard_normal((TRIALS, len(WIDTHS)))
    fits = [fit_power_law(WIDTHS, y, sem) for y in data]
    assert exponent_coverage(fits) >= 0.95 - SLACK
    # Power: the intervals are not merely wide; an exponent off by 5 standard errors (0.007 each) is covered rarely.
    assert exponent_coverage(fits, truth=-0.535) < 0.5


def test_errors_that_are_stated_too_small_are_inflated_by_the_misfit():
    # The stated errors are a fifth of the true ones. Where chi2 / dof > 1 the scale cancels: the stated error does not
    # matter, and coverage is that of the scatter. (Here chi2 / dof is about 25 and below 1 once in 1e6.)
    rng = np.random.default_rng(4)
    data = [noisy_law(rng, 0.05) for _ in range(TRIALS)]
    fits = [fit_power_law(WIDTHS, y, 0.01 * y) for y in data]
    assert abs(exponent_coverage(fits) - 0.95) <= SLACK
    # Power: without the inflation the intervals would be 5 times too short.
    bare = [f._replace(exponent=f.exponent._replace(sem=f.exponent.sem / math.sqrt(f.chi2 / f.dof))) for f in fits]
    assert abs(exponent_coverage(bare) - 0.95) > SLACK


def test_error_of_a_mean_is_found_to_fall_as_the_root_of_the_samples():
    # |mean of n normals| over 400 repetitions has mean sqrt(2 / pi) n^(-1/2): exponent and prefactor are known.
    rng = np.random.default_rng(5)
    sizes = np.array([4.0, 16.0, 64.0, 256.0])
    errors = [np.abs(rng.standard_normal((400, int(n))).mean(axis=1)) for n in sizes]
    y = np.array([e.mean() for e in errors])
    sem = np.array([e.std(ddof=1) / math.sqrt(400) for e in errors])
    fit = fit_power_law(sizes, y, sem)
    four_standard_errors = 4 * fit.exponent.sem
    assert abs(fit.exponent.value + 0.5) <= four_standard_errors
    assert abs(fit.prefactor.value - math.sqrt(2 / math.pi)) <= 4 * fit.prefactor.sem
    # Power: neither a rate of -1 nor one of -1/4 passes.
    assert min(abs(fit.exponent.value + 1.0), abs(fit.exponent.value + 0.25)) > four_standard_errors


@pytest.mark.parametrize(
    ("x", "y", "sem", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0], None, "`x` must hold at least 3 values, got 2"),
        ([1.0, 2.0, 3.0], [1.0, 0.0, 2.0], None, "`y` must be positive, got 0.0 at index 1"),
        ([1.0, -2.0, 3.0], [1.0, 1.0, 2.0], None, "`x` must be positive, got -2.0 at index 1"),
        ([1.0, 2.0, 3.0], [1.0, 1.0, 2.0], [0.1, 0.0, 0.1], "`sem` must be positive, got 0.0 at index 1"),
        ([1.0, 2.0, 3.0], [1.0, 1.0, 2.0, 3.0], None, "`y` must be as long as `x`, got 4 against 3"),
        ([1.0, 2.0, 3.0], [1.0, math.nan, 2.0], None, "`y` must be finite, got nan at index 1"),
        ([2.0, 2.0, 2.0], [1.0, 1.0, 2.0], None, "`x` must hold at least two different values, got 2.0 throughout"),
    ],
)
def test_fit_power_law_refuses_what_has_no_power_law(x, y, sem, message):
    with pytest.raises(ValueError, match=message):
        fit_power_law(np.array(x), np.array(y), None if sem is None else np.array(sem))
