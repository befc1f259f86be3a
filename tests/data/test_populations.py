"""Populations by name: what they are drawn from, and what is refused."""

import hashlib
import re

import numpy as np
import pytest

from ntkcheck.data import POPULATIONS, digits, log_spaced_spectrum, photographs, population

SAMPLES = 20_000


def test_photographs_are_the_ones_that_sources_states():
    stated = [
        "af89fae46d37f89b4ed66949ae0e292bf501be2a6a52f97a90a945b81fa189ed",
        "84bec3725a023d4909c4ff1d8764e3d818e08cee2eb9ce3dd0496c5c5be3a5cd",
    ]
    assert [hashlib.sha256(picture.tobytes()).hexdigest() for picture in photographs()] == stated
    assert [picture.shape for picture in photographs()] == [(427, 640)] * 2


@pytest.mark.parametrize("name", POPULATIONS)
def test_every_population_has_the_shape_that_is_asked_for_and_follows_from_its_seed(name):
    found = population(name, 300, 12, seed=1)
    assert found.name == name
    assert found.x.shape == (300, 12)
    assert found.source
    assert np.array_equal(found.x, population(name, 300, 12, seed=1).x)
    assert not np.array_equal(found.x, population(name, 300, 12, seed=2).x)
    assert np.linalg.matrix_rank(found.x - found.x.mean(0)) == 12


def test_there_are_no_more_digits_than_1797():
    assert population("digits_layer", 5000, 8).x.shape == (1797, 8)
    assert "Alpaydin" in population("digits_layer", 50, 8).source


def test_the_gaussian_with_a_spectrum_has_condition_number_1000():
    values = np.linalg.eigvalsh(np.cov(population("spectrum", SAMPLES, 4).x.T))[::-1]
    # Eigenvalues 10 times apart: relative standard error sqrt(2 / n); bias below 4 * 0.2 / n, far less.
    allowed = 4 * np.sqrt(2 / SAMPLES) + 1 / SAMPLES
    assert (np.abs(values / log_spaced_spectrum(4, 1e3) - 1) <= allowed).all()
    assert not (np.abs(values / log_spaced_spectrum(4, 1e2) - 1) <= allowed).all()  # power


def test_heavy_tails_have_variance_one_and_a_t_distributions_share_far_out():
    x = population("student_t", SAMPLES, 5).x.ravel()
    # Kurtosis 9: the variance of 10^5 values has a standard error of sqrt(8 / 10^5) = 0.009.
    assert abs(x.var() - 1) < 4 * np.sqrt(8 / x.size)
    # P(|t_5| > 5) = 0.00410; in units of the standard deviation that is 5 / sqrt(5 / 3) = 3.873.
    share, sem = np.mean(np.abs(x) > 5 / np.sqrt(5 / 3)), np.sqrt(0.0041 / x.size)
    assert abs(share - 0.00410) < 4 * sem
    assert abs(share - 0.000107) > 4 * sem  # power: a Gaussian's share


def test_digits_through_a_layer_are_a_function_of_the_digits_alone():
    # Two equal digits in, two equal activations out: as many different rows as there are different digits.
    found = population("digits_layer", 1797, 8).x
    assert len(np.unique(found.round(9), axis=0)) == len(np.unique(digits().x, axis=0))
    # Not linear in the digits: the best linear map with bias leaves a part that rounding does not explain.
    inputs = np.column_stack([digits().x, np.ones(1797)])
    left = found - inputs @ np.linalg.lstsq(inputs, found, rcond=None)[0]
    assert left.var() > 0.01 * found.var()


def test_patches_are_pieces_of_the_photographs_that_vary():
    found = population("patches", 2000, 12, seed=3).x.reshape(2000, 3, 4)
    assert np.ptp(found, axis=(1, 2)).min() > 0
    windows = [np.lib.stride_tricks.sliding_window_view(picture, (3, 4)) for picture in photographs()]
    for patch in found[:5]:
        assert any((window == patch).all((2, 3)).any() for window in windows)
    assert not any((window == patch.T.reshape(3, 4) + 1).all((2, 3)).any() for window in windows)  # power


def test_patches_of_a_prime_number_of_pixels_are_rows_and_too_long_ones_are_refused():
    assert population("patches", 10, 13).x.shape == (10, 13)
    with pytest.raises(
        ValueError, match=r"`features` must be pixels .* within 427 x 640 .*, got 641, which is 1 x 641"
    ):
        population("patches", 10, 641)


def test_the_users_own_samples_are_read_and_drawn_from(tmp_path):
    x = np.random.default_rng(0).standard_normal((50, 2, 3))
    np.savez(tmp_path / "mine.npz", x=x)
    whole = population(str(tmp_path / "mine.npz"), 1000, 99)
    assert np.array_equal(whole.x, x.reshape(50, 6))
    few = population(str(tmp_path / "mine.npz"), 20, 99, seed=1)
    rows = [int(np.flatnonzero((whole.x == sample).all(1))[0]) for sample in few.x]
    assert len(set(rows)) == 20
    assert rows == sorted(rows)
    assert "20 of 50 samples, seed 1" in few.source


def test_bad_arguments_are_refused(tmp_path):
    np.save(tmp_path / "broken.npy", np.array([[1.0, np.nan], [0.0, 1.0]]))
    for arguments, message in [
        (
            ("spektrum", 10, 4),
            "`population` must be one of gaussian, spectrum, student_t, digits_layer, patches, got 'spektrum'",
        ),
        (("imagenet", 10, 4), "got 'imagenet'; name the path of a .npy or .npz file, or of a folder"),
        (("gaussian", 1, 4), "`samples` must be at least 2, got 1"),
        (("gaussian", 10, 0), "`features` must be at least 1, got 0"),
        (("gaussian", 10, 4, -1), "`seed` must be at least 0, got -1"),
        ((str(tmp_path / "broken.npy"), 10, 4), "`population` must be finite, got nan in sample 0"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            population(*arguments)
    with pytest.raises(FileNotFoundError, match=r"`population` must name what exists, got nowhere\.npy"):
        population("nowhere.npy", 10, 4)
