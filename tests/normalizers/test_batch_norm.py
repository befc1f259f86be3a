import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ntkcheck.normalizers import batch_norm

compiled = jax.jit(batch_norm)
batches = hnp.arrays(np.float64, (6, 3), elements=st.floats(-10, 10))
per_feature = hnp.arrays(np.float64, (3,), elements=st.floats(-10, 10))
scales = hnp.arrays(np.float64, (3,), elements=st.floats(0.1, 10))

# Values of up to 10 and standard deviations of at least 0.1. Rounding x, a sum of six and the mean: 10 roundings of 1.1e-16 of
# 10, divided by 0.1, times the output's size, at most sqrt(5): 2.5e-13.
ACCURACY = 5e-13
# The image a x + b is rounded too, and centred again: |a x + b| <= 10 a + 10 over a * 0.1, a >= 0.1: 11 / 0.01 in place of 100.
MOVED_ACCURACY = 12 * ACCURACY


def spread(x):
    assume(np.all(np.std(x, axis=0) >= 0.1))
    return x


@settings(max_examples=30, deadline=None)
@given(batches)
def test_batch_norm_gives_every_feature_mean_zero_and_variance_one(x):
    y = np.asarray(compiled(spread(x)))
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=ACCURACY)
    np.testing.assert_allclose(y.var(axis=0), 1, rtol=4 * ACCURACY)


@settings(max_examples=30, deadline=None)
@given(batches, scales, per_feature)
def test_batch_norm_is_invariant_to_shift_and_positive_scale_of_each_feature(x, scale, shift):
    np.testing.assert_allclose(compiled(scale * spread(x) + shift), compiled(x), atol=MOVED_ACCURACY)


@settings(max_examples=30, deadline=None)
@given(batches, scales)
def test_batch_norm_is_odd(x, scale):
    np.testing.assert_allclose(compiled(-scale * spread(x)), -compiled(x), atol=MOVED_ACCURACY)


@settings(max_examples=30, deadline=None)
@given(batches)
def test_normalised_values_are_at_most_the_square_root_of_batch_minus_one(x):
    assert np.all(np.abs(compiled(spread(x))) <= np.sqrt(5) + ACCURACY)


def test_a_lone_outlier_reaches_the_bound_on_normalised_values():
    y = np.asarray(compiled(3.0 * np.eye(6, 3)))
    np.testing.assert_allclose(np.diagonal(y), np.sqrt(5), rtol=1e-14)
    np.testing.assert_allclose(y[3:], -1 / np.sqrt(5), rtol=1e-14)


def test_eps_breaks_the_invariance_to_scale_and_not_to_shift():
    # Power of the invariance test: eps = 1e-3 on features of variance about 1 moves the output by 5e-4 times 1 - 1/9.
    x = np.random.default_rng(1).normal(size=(6, 3))
    y = compiled(x, 1e-3)
    assert np.max(np.abs(compiled(3 * x, 1e-3) - y)) > 1e-4 > MOVED_ACCURACY
    np.testing.assert_allclose(compiled(x + 5, 1e-3), y, atol=MOVED_ACCURACY)


def test_eps_is_added_to_the_variance():
    x = np.random.default_rng(2).normal(size=(6, 3)) * [0.01, 0.1, 1.0]
    v = x.var(axis=0)
    y = np.asarray(compiled(x, 0.01))
    np.testing.assert_allclose(y.var(axis=0), v / (v + 0.01), rtol=1e-13)
    # Power: eps added to the standard deviation is another function.
    assert np.max(np.abs(y.var(axis=0) / (v / (np.sqrt(v) + 0.01) ** 2) - 1)) > 0.1


def test_features_and_the_order_of_samples_do_not_mix():
    x = np.random.default_rng(3).normal(size=(6, 3))
    y = np.asarray(compiled(x))
    order = [3, 0, 1, 2, 5, 4]
    # The order of summation changes: a few roundings.
    np.testing.assert_allclose(compiled(x[order]), y[order], atol=1e-14)
    np.testing.assert_array_equal(compiled(x * [1, 100, 100])[:, 0], y[:, 0])


def test_gradient_is_blind_to_shift_and_scale_of_each_feature():
    # f(x + t) = f(x) and f(s x) = f(x): the gradient of any function of f(x) sums to 0 alone and weighted by x.
    x, weights = np.random.default_rng(4).normal(size=(2, 6, 3))
    gradient = jax.jit(jax.grad(lambda x, eps: jnp.sum(weights * batch_norm(x, eps) ** 3)))
    exact, with_eps = np.asarray(gradient(x, 0.0)), np.asarray(gradient(x, 0.1))
    # Sums of six terms, each some ten roundings of 1.1e-16 of the largest.
    rounding = 1e-14 * np.max(np.abs(exact))
    np.testing.assert_allclose(exact.sum(axis=0), 0, atol=rounding)
    np.testing.assert_allclose((exact * x).sum(axis=0), 0, atol=rounding * np.max(np.abs(x)))
    # Power: with eps the scale counts.
    assert np.max(np.abs((with_eps * x).sum(axis=0))) > 1e10 * rounding


def test_batch_norm_of_two_samples_keeps_only_their_order():
    np.testing.assert_allclose(compiled(np.array([[1.0, 5.0], [4.0, -2.0]])), [[-1, 1], [1, -1]], rtol=1e-14)


def test_a_constant_feature_gives_nan_without_eps_and_zero_with_it():
    x = np.stack([np.full(6, 2.0), np.arange(6.0), np.arange(6.0)], axis=1)
    np.testing.assert_array_equal(np.isnan(compiled(x)), [[True, False, False]] * 6)
    np.testing.assert_array_equal(compiled(x, 1e-5)[:, 0], 0)


def test_batch_norm_keeps_single_precision():
    x = np.random.default_rng(5).normal(3.0, 1.0, (6, 3)).astype(np.float32)
    y = batch_norm(jnp.asarray(x), eps=1e-5)
    assert y.dtype == jnp.float32
    # 10 roundings of 6e-8 of values up to 6.
    np.testing.assert_allclose(y, compiled(x.astype(np.float64), 1e-5), atol=4e-6)
