"""SND as the claims measure it, against exact laws and against simulation in NumPy with fresh samples."""

import functools

import jax
import numpy as np
import pytest

from ntkcheck.claims import cells
from ntkcheck.claims.cells import Cell, Sizes
from ntkcheck.claims.printed_estimator import estimator_ratios
from ntkcheck.snd import batch_norm_law
from ntkcheck.stats import mean_estimate
from tests.claims.made_up import evidence, made_up, within

SIZES = Sizes(sets=8, anchors=2048, draws=8)


@functools.cache
def measured(cell, quantity=cells.SND, sizes=SIZES):
    return mean_estimate(cells.by_set(evidence(), cell, sizes, quantity))


def test_the_snd_of_batch_norm_is_that_of_its_exact_law():
    # Over 2048 anchors instead of all: about 1 / (2 anchors). Correction for 8 draws: below 0.3% at m = 8.
    truth = batch_norm_law(8, 8)
    assert within(measured(Cell("batch_norm", 8, 8)), truth, bias=0.003 * truth)
    assert not within(measured(Cell("batch_norm", 8, 8)), batch_norm_law(8, 9), bias=0.003 * truth)  # power


def whitened_share(batch_size, features, anchors=400, draws=200):
    """The disturbance's share of ZCA's output by the paper's design, one batch at a time: (mean, standard error)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((anchors, draws, batch_size, features))
    x[:, :, 0] = x[:, :1, 0]
    left, _, right = np.linalg.svd(x - x.mean(axis=2, keepdims=True), full_matrices=False)
    y = batch_size**0.5 * (left @ right)[:, :, 0]
    disturbance = np.sum(y.var(axis=1, ddof=1), axis=1) / np.mean(np.sum(y**2, axis=2))
    return disturbance.mean(), disturbance.std(ddof=1) / anchors**0.5


def test_the_share_of_disturbance_is_that_of_fresh_batches():
    # Without replacement from 2048: m / 2048 = 0.4% of the share less.
    found = measured(Cell("zca", 5, 4, 4), cells.SHARE, SIZES._replace(replacement=False))
    mean, error = whitened_share(5, 4)
    assert within(found, mean, bias=4 * error + 0.004 * mean)
    assert not within(found, whitened_share(6, 4)[0], bias=4 * error + 0.004 * mean)  # power: another batch size


def test_normalisers_are_measured_on_the_same_batches():
    # A group of one is BatchNorm, whatever the whitening is called: no noise is left in the ratio.
    zca, batch_norm = (cells.by_set(evidence(), Cell(name, 8, 8), SIZES) for name in ("zca", "batch_norm"))
    np.testing.assert_allclose(zca, batch_norm, rtol=1e-9)  # the inverse root through eigenvalues: a few roundings
    assert len(set(batch_norm)) == SIZES.sets


def test_populations_have_the_spectrum_that_was_asked_for():
    x = cells.gaussian_population(jax.random.key(0), 20000, 4, 100.0)
    # Eigenvalues of 20000 samples: relative errors of (2 / 20000)^(1/2) = 1%.
    np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(x.T))[::-1], np.geomspace(1, 0.01, 4), rtol=0.04)
    variances = x.var(axis=0)
    assert variances.max() / variances.min() < 50  # mixed: not the eigenvalues themselves


def test_the_condition_number_is_that_of_one_large_batch():
    full, batch_norm = (
        cells.conditions(evidence(), Cell(name, 4096, 4, g, condition=100.0), 4)
        for name, g in (("zca", 4), ("batch_norm", 1))
    )
    np.testing.assert_allclose(full, 1, rtol=1e-9)  # whitened; the covariance's condition number 100 times rounding
    assert np.all(batch_norm > 1.5)


def image_snd(batch_size, layers=8, draws=3000):
    """SND of BatchNorm on random layers over the images, in NumPy: mean and standard error over layers."""
    rng, images = np.random.default_rng(1), evidence().batches.reshape(128, -1)
    found = []
    for _ in range(layers):
        h = images @ rng.standard_normal((images.shape[1], 64))
        chosen = rng.integers(len(h), size=(draws, batch_size))
        chosen[:, 0] = np.arange(draws) % 30  # anchors
        x = h[chosen]
        y = (x[:, 0] - x.mean(axis=1)) / x.std(axis=1)
        y = y.reshape(-1, 30, 64)
        found.append(np.linalg.norm(y - y.mean(axis=0), axis=2).mean() / (1 - 1 / len(y)) ** 0.5)
    return np.mean(found), np.std(found, ddof=1) / layers**0.5


def test_the_snd_on_images_is_that_of_random_layers():
    images = cells.image_options(evidence())
    record = evidence().obtain(cells.image_disturbances, images=images, batch_size=16, neurons=64, sets=8, draws=32)
    found, (mean, error) = mean_estimate(cells.values(record, cells.SND)), image_snd(16)
    # 30 anchors of 128 in the oracle: anchors differ by 15% of SND, 3% / 8^(1/2)... the same 30 in all layers: 3%.
    assert within(found, mean, bias=4 * error + 0.03 * mean)
    assert not within(found, image_snd(24)[0], bias=4 * error + 0.03 * mean)  # power


def test_images_that_have_changed_are_refused():
    images = cells.image_options(evidence()) | {"inputs": "0"}
    with pytest.raises(ValueError, match=r"`inputs` must be the digest of .*, got 0: it has changed since"):
        cells.run_images(images)


def test_the_printed_estimator_is_low_by_the_mean_of_its_own_draws():
    (few, more) = estimator_ratios(jax.random.key(0), 64, 8, 20, 4000, (5, 20))
    # Exact for Gaussian fluctuations; of BatchNorm at m = 64 with 8 features what is left is below 0.2% / (s / 5).
    assert within(few.estimate, 0.8**0.5, bias=0.002)
    assert within(more.estimate, 0.95**0.5, bias=0.001)
    assert not within(few.estimate, 1.0, bias=0.002)  # power: no bias
    assert not within(few.estimate, 5 / 6, bias=0.002)  # power: 1 / (s + 1)


@pytest.mark.parametrize(("batch_size", "draws"), [(2048, 16), (128, 4)])
def test_large_batches_are_not_few(batch_size, draws):
    asked = made_up(noise=0.0, disturbances=lambda draws, **_: {"snd": draws})
    assert set(cells.by_set(asked, Cell("zca", batch_size, 8), Sizes(8, 8192, 4))) == {draws}


def test_what_is_not_measured_stays_unanswered():
    assert cells.by_set(made_up(), Cell("zca", 8, 8), SIZES) is None
    assert cells.over_sets(np.divide, None, np.ones(3)) is None
