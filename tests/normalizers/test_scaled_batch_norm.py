"""Scaled BatchNorm: its bound (RB-1) and its gradient (RB-3)."""

import jax
import jax.numpy as jnp
import numpy as np

from ntkcheck import snd
from ntkcheck.normalizers import batch_norm, scaled_batch_norm

M, SCALE = 10, 0.1
X = np.random.default_rng(0).normal(1.0, 4.0, (M, 3))


def test_it_is_batch_norm_scaled_and_shifted():
    np.testing.assert_allclose(
        scaled_batch_norm(jnp.asarray(X), 0.3, 2.0, 0.5), 0.3 * batch_norm(jnp.asarray(X), 0.5) + 2.0, atol=1e-15
    )


def test_values_are_at_most_the_scale_times_the_root_of_the_number_of_mates():
    y = np.abs(np.asarray(scaled_batch_norm(jnp.asarray(X), SCALE)))
    assert y.max() <= SCALE * np.sqrt(M - 1)
    # The bound is reached where one sample differs from all others, and not by a thousandth less.
    outlier = np.zeros((M, 1))
    outlier[3] = 7.0
    np.testing.assert_allclose(scaled_batch_norm(jnp.asarray(outlier), SCALE)[3, 0], SCALE * np.sqrt(M - 1), rtol=1e-13)


def test_the_gradient_is_the_scale_over_sigma_times_a_projection():
    # d/dx of sum(w y) = gamma / sigma (w - mean(w) - x_hat mean(w x_hat)), the backward pass of Ioffe & Szegedy written out.
    w = np.random.default_rng(1).standard_normal(X.shape)
    gradient = jax.grad(lambda x: jnp.sum(w * scaled_batch_norm(x, SCALE)))(jnp.asarray(X))
    sigma, x_hat = X.std(axis=0), (X - X.mean(axis=0)) / X.std(axis=0)
    expected = SCALE / sigma * (w - w.mean(axis=0) - x_hat * (w * x_hat).mean(axis=0))
    np.testing.assert_allclose(gradient, expected, atol=1e-14)


def test_its_disturbance_is_scaled_and_its_relative_disturbance_is_not():
    population = np.random.default_rng(2).standard_normal((200, 4))
    key = jax.random.key(0)
    scaled, plain = (
        snd.disturbance(f, population, 8, 20, 10, key=key, replacement=False) for f in (scaled_batch_norm, batch_norm)
    )
    np.testing.assert_allclose(scaled.value, SCALE * plain.value, rtol=1e-12)
    np.testing.assert_allclose(scaled.relative, plain.relative, rtol=1e-12)
