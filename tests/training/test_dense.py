"""Small dense networks against NumPy: their normalisers with a population's statistics, and descent."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ntkcheck import normalizers
from ntkcheck.reference.case import cross_entropy
from ntkcheck.training.dense import Dense, apply, descend, frozen, init, pre_activations

KINDS = [normalizers.get(name, 4, 5, 1e-5) for name in ("batch_norm", "zca", "cholesky", "iter_norm")]
by_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def population(samples=200, features=8):
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.standard_normal((samples, features)) @ rng.standard_normal((features, features)) + 1)


def moved(params):
    """Parameters with scales and shifts that are not those of the start."""
    rng = np.random.default_rng(1)
    return params._replace(
        scales=tuple(jnp.asarray(rng.uniform(0.5, 2, s.shape)) for s in params.scales),
        shifts=tuple(jnp.asarray(rng.standard_normal(s.shape)) for s in params.shifts),
    )


@by_kind
def test_a_frozen_normaliser_is_the_normaliser_on_its_own_population(kind):
    x = population()
    # Roundings of 1e-16 times the covariance's condition number, below 1e4.
    np.testing.assert_allclose(frozen(kind, x, 1e-5)(x), kind.function(x), atol=1e-11)
    assert np.abs(frozen(kind, x, 1e-2)(x) - kind.function(x)).max() > 1e-4  # power: another eps
    assert np.abs(frozen(kind, x[:100], 1e-5)(x) - kind.function(x)).max() > 1e-2  # power: another population


@by_kind
def test_a_frozen_normaliser_takes_each_sample_alone(kind):
    x, function = population(), frozen(kind, population(), 1e-5)
    np.testing.assert_allclose(function(x[:1]), function(x)[:1], atol=1e-12)
    assert np.abs(kind.function(x[:20])[:1] - kind.function(x)[:1]).max() > 1e-2  # power: a batch's statistics


def test_a_normaliser_without_mean_and_covariance_cannot_be_frozen():
    with pytest.raises(ValueError, match=r"`normalizer`.*layer_norm"):
        frozen(normalizers.get("layer_norm"), population(), 0.0)


def test_a_network_with_frozen_batch_norm_is_that_of_numpy():
    kind, x, test = KINDS[0], np.asarray(population()), np.asarray(population(7))
    params = moved(init(jax.random.key(0), (8, 6, 5, 3)))
    functions = [frozen(kind, h, 1e-5) for h in pre_activations(params, jnp.asarray(x), kind)]
    a, b = x, test
    for weights, scale, shift in zip(params.weights, params.scales, params.shifts, strict=False):
        h, g = a @ np.asarray(weights), b @ np.asarray(weights)
        mean, deviation = h.mean(0), np.sqrt(h.var(0) + 1e-5)
        a, b = (np.maximum(scale * (y - mean) / deviation + shift, 0) for y in (h, g))
    expected = b @ np.asarray(params.weights[-1]) + np.asarray(params.shifts[-1])
    # Roundings of sums of 200 terms through three layers.
    np.testing.assert_allclose(apply(params, jnp.asarray(test), functions), expected, atol=1e-11)
    by_batch = apply(params, jnp.asarray(test), [kind.function] * 2)
    assert np.abs(by_batch - expected).max() > 1e-2  # power: statistics of the test batch


def test_initial_weights_have_hes_variance_and_the_dtype_that_is_asked_for():
    params = init(jax.random.key(0), (64, 256, 10), dtype=jnp.float32)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype("float32")}
    # 16384 squares: a standard error of (2 / 16384)^(1/2) = 1.1%; 4 of them.
    assert float(jnp.mean(params.weights[0] ** 2)) * 64 / 2 == pytest.approx(1, abs=0.045)
    assert [s.shape for s in params.scales] == [(256,)]
    assert init(jax.random.key(0), (4, 3, 2), scaled=False).scales == ()


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def test_descent_on_a_linear_model_is_that_of_numpy():
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((5, 16, 4)), rng.integers(0, 3, (5, 16))
    start = init(jax.random.key(0), (4, 3))

    def loss(params: Dense, x, labels):
        return cross_entropy(apply(params, x, []), labels)

    found = descend(loss, start, jnp.asarray(x), jnp.asarray(labels), optax.sgd(0.1))
    weights, shift = np.asarray(start.weights[0]), np.zeros(3)
    for batch, classes in zip(x, labels, strict=True):
        residual = (softmax(batch @ weights + shift) - np.eye(3)[classes]) / 16
        weights, shift = weights - 0.1 * batch.T @ residual, shift - 0.1 * residual.sum(0)
    # Five steps' roundings of numbers of order 1.
    np.testing.assert_allclose(found.weights[0], weights, atol=1e-14)
    np.testing.assert_allclose(found.shifts[0], shift, atol=1e-14)
    backwards = descend(loss, start, jnp.asarray(x[::-1]), jnp.asarray(labels[::-1]), optax.sgd(0.1))
    assert np.abs(backwards.weights[0] - weights).max() > 1e-5  # power: another order of the batches
