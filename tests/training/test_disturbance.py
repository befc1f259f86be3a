"""SND and losses of small networks over batch sizes: against NumPy, the first-order law, and what breaks down."""

import functools
import math

import jax
import numpy as np
import pytest

from ntkcheck import normalizers
from ntkcheck.training import disturbance
from ntkcheck.training.disturbance import digits, disturbance_and_loss


@functools.cache
def measured(normalizer="batch_norm", batch_size=64, group_size=1, iterations=0, epochs=1, rate=0.1, seeds=2):
    found = disturbance_and_loss(
        jax.random.key(0), normalizer, batch_size, group_size, iterations, epochs, rate, seeds, seed=0
    )
    return {m.quantity: m.estimate for m in found}


def test_training_digits_are_standardised_and_test_digits_by_the_same_numbers():
    training, test = digits()
    assert len(training.x) + len(test.x) == 1797
    assert training.x.shape[1:] == (64,)
    assert training.x.dtype == np.float32
    x = np.asarray(training.x, np.float64)
    assert (x.mean(), x.std()) == pytest.approx((0, 1), abs=1e-6)  # rounding to float32
    assert abs(np.asarray(test.x, np.float64).std() - 1) > 1e-4  # power: its own deviation
    pixels = np.asarray(test.x) * (np.ptp(np.r_[training.x, test.x]) / 16) ** -1
    steps = pixels - pixels.min()
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)  # 17 grey values, at the training digits' distance


def test_snd_of_batch_norm_is_that_of_first_order_through_the_layers():
    # sqrt(3 d / (2 m)) for Gaussian neurons, times the factor of batches without replacement; tails and the next order: 15%.
    law = math.sqrt(3 * 64 / (2 * 64)) * math.sqrt((1438 - 64) / 1437)
    snd = measured()["snd"]
    assert snd.value == pytest.approx(law, rel=0.15)
    assert np.all(snd.sem < 0.02 * snd.value)
    assert np.all(abs(snd.value / (law * 2**0.5) - 1) > 0.15)  # power: twice the variance, as with half a batch


def test_snd_is_of_the_networks_before_their_training():
    np.testing.assert_array_equal(measured()["snd"].value, measured(rate=0.0)["snd"].value)


def untrained_batch_norm_losses(seeds):
    """Cross-entropies at the start with the training digits' statistics, in NumPy."""
    training, test = digits()
    start = disturbance.networks(jax.random.split(jax.random.key(0), 3)[0], seeds)
    losses = []
    for i in range(seeds):
        *hidden, readout = (np.asarray(weights[i], np.float64) for weights in start.weights)
        a, b = (np.asarray(side.x, np.float64) for side in (training, test))
        for weights in hidden:
            h, g = a @ weights, b @ weights
            a, b = (np.maximum((y - h.mean(0)) / np.sqrt(h.var(0) + 1e-5), 0) for y in (h, g))
        z = b @ readout
        log_sum = np.log(np.exp(z - z.max(1, keepdims=True)).sum(1)) + z.max(1)
        losses.append(np.mean(log_sum - z[np.arange(len(z)), np.asarray(test.labels)]))
    return np.array(losses)


def test_losses_are_those_of_numpy_with_the_training_digits_statistics():
    # Float32 through four layers: 1e-5 of a loss of about 3.
    np.testing.assert_allclose(measured(rate=0.0)["test_loss"].value, untrained_batch_norm_losses(2), rtol=1e-4)
    assert abs(measured(rate=0.0)["training_loss"].value - measured(rate=0.0)["test_loss"].value).min() > 1e-3  # power


@pytest.mark.parametrize(
    ("name", "group_size", "iterations"), [("batch_norm", 1, 0), ("zca", 4, 0), ("iter_norm", 4, 3)]
)
def test_training_lowers_the_losses_under_every_kind_of_normaliser(name, group_size, iterations):
    before, after = (measured(name, 64, group_size, iterations, rate=rate) for rate in (0.0, 0.1))
    for quantity in ("training_loss", "test_loss", "test_error"):
        assert np.all(after[quantity].value < 0.8 * before[quantity].value)


@pytest.mark.parametrize("batch_size", [2, 256])
def test_every_batch_size_sees_as_many_samples(monkeypatch, batch_size):
    shown = []
    monkeypatch.setattr(disturbance, "descend", lambda loss, params, x, labels, _: shown.append(x.shape) or params)
    start, keys = disturbance.networks(jax.random.key(0), 1), jax.random.split(jax.random.key(1), 1)
    sizes = {"kind": normalizers.get("batch_norm"), "batch_size": batch_size, "epochs": 3}
    jax.eval_shape(functools.partial(disturbance.train.__wrapped__, **sizes), start, keys, digits()[0], 0.1)
    assert math.prod(shown[0][:2]) == 3 * 1280


def test_a_training_that_breaks_down_is_recorded():
    found = measured(rate=1e30)
    assert not np.isfinite(found["test_loss"].value).any()
    assert np.isfinite(found["snd"].value).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 3}, "`batch_size` must divide the 1280"),
        ({"normalizer": "zca", "group_size": 16, "batch_size": 16}, "`zca` needs more samples"),
        ({"normalizer": "layer_norm"}, "`normalizer`"),
        ({"normalizer": "batch_nrom"}, "did you mean"),
    ],
)
def test_settings_that_cannot_be_measured_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        measured(**changes)
