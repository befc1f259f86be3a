"""Data sets by name: the bundled digits, Gaussian populations, and standardisation."""

import hashlib
import math
import re

import numpy as np
import pytest

from ntkcheck.data import digit_labels, digits, gaussian, load, log_spaced_spectrum, standardize


def test_digits_are_the_published_test_set():
    images = digits().x
    assert images.shape == (1797, 64)
    assert images.dtype == np.float64
    assert set(np.unique(images)) == set(range(17))
    # The class distribution of the test set as UCI's description prints it.
    published = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(digit_labels()).tolist() == published
    # The table as bytes, row by row, has the digest that SOURCES.md states: no value was altered.
    table = np.column_stack([images.astype(np.uint8), digit_labels()])
    digest = "68aea062d35a127749050fa0e52dca09d6569ac08092c925610e0954e172dde2"
    assert hashlib.sha256(table.tobytes()).hexdigest() == digest


def test_digits_say_where_they_come_from():
    for words in ("Alpaydin", "Kaynak", "UCI Machine Learning Repository", "CC BY 4.0", "10.24432/C50P49"):
        assert words in digits().source


def test_digits_are_a_new_array_each_time():
    digits().x[0, 0] = 99.0
    assert digits().x[0, 0] == 0.0


def test_load_finds_the_named_data_sets():
    assert np.array_equal(load("digits").x, digits().x)
    assert np.array_equal(load("gaussian", samples=30, features=5, seed=3).x, gaussian(30, 5, 3).x)
    assert load("gaussian").x.shape == (4096, 64)


def test_load_draws_stored_samples_without_replacement_in_their_order():
    whole = load("digits").x
    few = load("digits", samples=200, seed=1)
    # Digits are all different images, so each row of the draw is found once, further down than the one before.
    rows = [int(np.flatnonzero((whole == sample).all(axis=1))[0]) for sample in few.x]
    assert rows == sorted(set(rows))
    assert len(rows) == 200
    assert "200 of 1797 samples, seed 1" in few.source
    assert np.array_equal(few.x, load("digits", samples=200, seed=1).x)
    assert not np.array_equal(few.x, load("digits", samples=200, seed=2).x)
    assert np.array_equal(load("digits", samples=1797).x, whole)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spec": "digit"}, "`spec` must be one of digits, gaussian, got 'digit'; did you mean 'digits'?"),
        ({"spec": "Gausian"}, "got 'Gausian'; did you mean 'gaussian'?"),
        ({"spec": "gausian", "features": 32}, "got 'gausian'; did you mean 'gaussian'?"),
        ({"spec": "imagenet"}, "got 'imagenet'; name the path of a .npy or .npz file, or of a folder"),
        ({"spec": "digits", "samples": 1}, "`samples` must be at least 2, got 1"),
        ({"spec": "digits", "samples": 1798}, "`samples` must be at most the 1797 of digits, got 1798; leave it out"),
        ({"spec": "digits", "features": 32}, "`features` must be None for stored data, got 32 with 'digits'"),
        ({"spec": "digits", "samples": 5, "seed": -1}, "`seed` must be at least 0, got -1"),
        ({"spec": "gaussian", "samples": 0}, "`samples` must be at least 2, got 0"),
        ({"spec": "gaussian", "features": 0}, "`features` must be at least 1, got 0"),
    ],
)
def test_load_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        load(**arguments)


SAMPLES = 20_000


def test_isotropic_gaussian_has_the_identity_as_covariance():
    x = gaussian(SAMPLES, 6, seed=1).x
    # Standard errors: sqrt(2 / n) on the diagonal, sqrt(1 / n) off it; sqrt(1 / n) for a mean. 27 numbers, 4 each.
    deviation = np.cov(x.T) - np.eye(6)
    allowed = 4 * np.sqrt((1 + np.eye(6)) / SAMPLES)
    assert (np.abs(deviation) <= allowed).all()
    assert (np.abs(x.mean(axis=0)) <= 4 / math.sqrt(SAMPLES)).all()
    # Power: a population whose scale is off by 5% fails.
    assert not (np.abs(np.cov(1.05 * x.T) - np.eye(6)) <= allowed).all()


def test_gaussian_with_a_spectrum_has_it_in_rotated_directions():
    spectrum = log_spaced_spectrum(6, 1000.0)
    x = gaussian(SAMPLES, 6, seed=2, spectrum=spectrum).x
    # Eigenvalues 4 times apart from each other: standard error sqrt(2 / n) relative, bias below 6 * 0.4 / n, a 60th of it.
    allowed = 4 * math.sqrt(2 / SAMPLES) + 3 / SAMPLES
    found = np.linalg.eigvalsh(np.cov(x.T))[::-1]
    assert (np.abs(found / spectrum - 1) <= allowed).all()
    # Power: square roots in place of eigenvalues fail.
    assert not (np.abs(np.sqrt(found) / spectrum - 1) <= allowed).all()
    # The directions are not the axes: whitening differs from standardising.
    assert np.abs(np.corrcoef(x.T) - np.eye(6)).max() > 0.1


def test_gaussian_is_reproduced_by_its_seed():
    spectrum = log_spaced_spectrum(4, 10.0)
    assert np.array_equal(gaussian(10, 4, 5, spectrum).x, gaussian(10, 4, 5, spectrum).x)
    assert not np.array_equal(gaussian(10, 4, 5, spectrum).x, gaussian(10, 4, 6, spectrum).x)


def test_gaussian_may_have_directions_without_variance():
    x = gaussian(50, 3, 1, np.array([1.0, 1.0, 0.0])).x
    assert np.linalg.matrix_rank(x) == 2


def test_log_spaced_spectrum_has_its_condition_number_and_mean_one():
    spectrum = log_spaced_spectrum(5, 1e4)
    # A few roundings of a geometric progression: 1e-14.
    assert spectrum[0] / spectrum[-1] == pytest.approx(1e4, rel=1e-14)
    assert spectrum[:-1] / spectrum[1:] == pytest.approx(np.full(4, 10.0), rel=1e-14)
    assert spectrum.mean() == pytest.approx(1.0, rel=1e-14)
    assert np.array_equal(log_spaced_spectrum(3, 1.0), np.ones(3))


@pytest.mark.parametrize(
    ("spectrum", "message"),
    [
        ([1.0, 2.0], r"`spectrum` must hold one eigenvalue for each of 3 features, got shape \(2,\)"),
        ([1.0, -2.0, 1.0], "`spectrum` must be finite, non-negative and not all 0, got"),
        ([1.0, math.nan, 1.0], "`spectrum` must be finite, non-negative and not all 0, got"),
        ([0.0, 0.0, 0.0], "`spectrum` must be finite, non-negative and not all 0, got"),
    ],
)
def test_gaussian_refuses_what_is_no_spectrum(spectrum, message):
    with pytest.raises(ValueError, match=message):
        gaussian(10, 3, 0, np.array(spectrum))


def test_log_spaced_spectrum_refuses_what_is_no_condition_number():
    with pytest.raises(ValueError, match=r"`condition_number` must be finite and at least 1, got 0\.5"):
        log_spaced_spectrum(4, 0.5)
    with pytest.raises(ValueError, match="`condition_number` must be finite and at least 1, got inf"):
        log_spaced_spectrum(4, math.inf)
    with pytest.raises(ValueError, match="`features` must be at least 2, got 1"):
        log_spaced_spectrum(1, 2.0)


def test_standardize_uses_one_mean_and_one_deviation_for_all_features():
    # Mean 2 and variance 32 / 12 over all twelve entries, columns of different means and scales. A few roundings: 1e-15.
    x = np.array([[0.0, 2.0, 4.0, 0.0], [4.0, 2.0, 1.0, 3.0], [5.0, 2.0, 1.0, 0.0]])
    assert (x.mean(), x.var()) == (2.0, 8 / 3)
    assert standardize(x) == pytest.approx((x - 2) / math.sqrt(8 / 3), abs=1e-15)


def test_standardize_keeps_constant_features():
    z = standardize(digits().x)
    constant = z[:, 0]
    assert (constant == constant[0]).all()
    # Pixel 0 is always 0: -mean / std of all pixels, 4.884 / 6.017.
    assert constant[0] == pytest.approx(-0.8117, abs=1e-4)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.full((4, 3), 0.1), r"`x` must vary to be standardised, got 0\.1 throughout"),
        (np.array([[1.0, math.inf], [1.0, 2.0]]), "`x` must be finite, got inf in sample 0"),
        (np.arange(5.0), r"`x` must have shape \(samples, features\), got \(5,\)"),
    ],
)
def test_standardize_refuses_what_has_no_deviation(x, message):
    with pytest.raises(ValueError, match=message):
        standardize(x)
