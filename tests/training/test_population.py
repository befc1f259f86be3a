"""Networks with the statistics of a population: on the population itself the trained network, on other images not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck.reference.watched import norms
from ntkcheck.training.networks import forward, make
from ntkcheck.training.population import freeze, statistics

KEY = jax.random.key(0)
POPULATION = 0.5 + 2 * jax.random.normal(KEY, (48, 8, 8, 3), jnp.float32)
OTHERS = jax.random.normal(jax.random.key(1), (8, 8, 8, 3), jnp.float32)
# Rounding in float32 (6e-8) through three normalised convolutions; whitening multiplies it by its condition number, here below 100.
ROUNDING = 1e-4


def moved(model):
    """The model after something like training: every parameter off its initial value."""
    leaves, structure = jax.tree.flatten(model)
    keys = jax.random.split(jax.random.key(5), len(leaves))
    return jax.tree.unflatten(
        structure, [a + 0.1 * jax.random.normal(k, a.shape, a.dtype) for a, k in zip(leaves, keys, strict=True)]
    )


def trained(normalizer, inputs="standardized", **options):
    return moved(make("cnn3", normalizer, 10, "cifar", key=KEY, inputs=inputs, **options))


NETWORKS = {
    "batch_norm": {},
    "scaled_batch_norm": {},
    "mimic_norm": {},
    "last_batch_norm": {},
    "zca": {"group_size": 8},
    "iter_norm": {"group_size": 8},
}


@pytest.mark.parametrize("normalizer", NETWORKS)
def test_on_its_population_the_frozen_network_is_the_trained_one(normalizer):
    model = trained(normalizer, "batch_norm", **NETWORKS[normalizer])
    frozen = freeze(model, statistics(model, POPULATION, precision="highest"))
    expected = np.asarray(model(POPULATION))
    assert np.allclose(frozen(POPULATION), expected, rtol=0, atol=ROUNDING * np.abs(expected).max())
    # Power: statistics of half the population are others.
    half = freeze(model, statistics(model, POPULATION[::2], precision="highest"))
    assert not np.allclose(half(POPULATION), expected, rtol=0, atol=10 * ROUNDING * np.abs(expected).max())


@pytest.mark.parametrize("normalizer", ["batch_norm", "iter_norm"])
def test_an_image_is_judged_alike_in_whatever_batch(normalizer):
    model = trained(normalizer, **NETWORKS[normalizer])
    frozen = freeze(model, statistics(model, POPULATION, precision="highest"))
    together, alone = np.asarray(frozen(OTHERS)), np.concatenate([frozen(OTHERS[:4]), frozen(OTHERS[4:])])
    assert np.allclose(together, alone, rtol=0, atol=ROUNDING * np.abs(together).max())
    assert not np.allclose(model(OTHERS)[:4], model(OTHERS[:4]), rtol=0, atol=1e-2), "as it was trained it is not"


@pytest.mark.parametrize("normalizer", ["none", "layer_norm", "group_norm"])
def test_normalisers_of_single_samples_keep_nothing(normalizer):
    assert statistics(trained(normalizer), POPULATION, precision="highest") == {}


def test_batch_norm_keeps_mean_and_variance_of_its_inputs():
    model = trained("batch_norm", inputs="batch_norm")
    found = statistics(model, POPULATION, precision="highest")
    assert set(found) == set(norms(model)) - {"logits"}
    pixels = np.asarray(POPULATION, np.float64).reshape(-1, 3)
    assert np.allclose(found["input"].mean, pixels.mean(0), rtol=1e-5)  # float32 sums of 3072 numbers
    assert np.allclose(found["input"].root[:, 0, 0], 1 / np.sqrt(pixels.var(0) + 1e-5), rtol=1e-5)


def test_frozen_batch_norm_is_ioffe_and_szegedys_inference_written_out():
    """One layer in NumPy: convolution as a product over patches, then (x - mean) / sqrt(var + eps) gamma + beta."""
    model = trained("batch_norm")
    unit = model.network.units[0]
    frozen = freeze(model, statistics(model, POPULATION, precision="highest"))

    def convolved(x):
        padded = np.pad(np.asarray(x, np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
        kernel = np.asarray(unit.convolution.weight, np.float64)
        shifted = [padded[:, i : i + 8, j : j + 8] @ kernel[i, j] for i in range(3) for j in range(3)]
        return np.sum(shifted, axis=0)

    population = convolved(POPULATION).reshape(-1, 16)
    mean, variance = population.mean(0), population.var(0)
    normalized = (convolved(OTHERS) - mean) / np.sqrt(variance + 1e-5)
    seen = {}
    frozen(OTHERS, observe=lambda name, h: seen.setdefault(name, h))
    assert np.allclose(next(iter(seen.values())), normalized, atol=1e-4)  # float32 against float64, values of order 1
    assert not np.allclose(next(iter(seen.values())), (convolved(OTHERS) - mean) / np.sqrt(variance * 1.01), atol=1e-4)


def test_the_variance_of_outputs_is_taken_before_the_last_normaliser():
    model = trained("last_batch_norm")
    logits, seen = forward("highest")(model, POPULATION)
    raw = model.network(POPULATION, lambda _, h: h)
    assert np.allclose(seen["output_variance"], np.var(np.asarray(raw), axis=0).mean(), rtol=1e-5)
    assert np.allclose(np.var(np.asarray(logits), axis=0), 1, atol=1e-3)  # eps = 1e-5 over variances of order 1
    assert not np.allclose(seen["output_variance"], 1, atol=1e-2)
