import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ntkcheck.normalizers import batch_norm, layer_norm

compiled = jax.jit(layer_norm)
batches = hnp.arrays(np.float64, (3, 6), elements=st.floats(-10, 10))
per_sample = hnp.arrays(np.float64, (3, 1), elements=st.floats(-10, 10))
scales = hnp.arrays(np.float64, (3, 1), elements=st.floats(0.1, 10))

# Derived in test_batch_norm: the same arithmetic, along the other axis.
ACCURACY = 5e-13
MOVED_ACCURACY = 12 * ACCURACY


def spread(x):
    assume(np.all(np.std(x, axis=1) >= 0.1))
    return x


@settings(max_examples=30, deadline=None)
@given(batches)
def test_layer_norm_gives_every_sample_mean_zero_and_variance_one(x):
    y = np.asarray(compiled(spread(x)))
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=ACCURACY)
    np.testing.assert_allclose(y.var(axis=1), 1, rtol=4 * ACCURACY)


@settings(max_examples=30, deadline=None)
@given(batches, scales, per_sample)
def test_layer_norm_is_invariant_to_shift_and_positive_scale_of_each_sample(x, scale, shift):
    np.testing.assert_allclose(compiled(scale * spread(x) + shift), compiled(x), atol=MOVED_ACCURACY)


def test_layer_norm_is_not_invariant_to_the_scale_of_a_feature():
    # Power of the invariance test, and the difference from batch normalisation.
    x = np.random.default_rng(1).normal(size=(3, 6))
    assert np.max(np.abs(compiled(x * [3, 1, 1, 1, 1, 1]) - compiled(x))) > 0.1


def test_a_sample_does_not_see_the_others():
    x = np.random.default_rng(2).normal(size=(3, 6))
    np.testing.assert_array_equal(compiled(x * [[1], [100], [100]])[0], compiled(x)[0])


def test_layer_norm_is_batch_norm_of_the_transpose():
    x = np.random.default_rng(3).normal(size=(3, 6))
    for eps in (0.0, 0.1):
        np.testing.assert_allclose(compiled(x, eps), jax.jit(batch_norm)(x.T, eps).T, atol=1e-14)


def test_eps_is_added_to_the_variance():
    x = np.random.default_rng(4).normal(size=(3, 6)) * [[0.01], [0.1], [1.0]]
    v = x.var(axis=1)
    np.testing.assert_allclose(np.var(np.asarray(compiled(x, 0.01)), axis=1), v / (v + 0.01), rtol=1e-13)


def test_layer_norm_keeps_single_precision():
    x = np.random.default_rng(5).normal(3.0, 1.0, (3, 6)).astype(np.float32)
    y = layer_norm(jnp.asarray(x))
    assert y.dtype == jnp.float32
    # 10 roundings of 6e-8 of values up to 6.
    np.testing.assert_allclose(y, compiled(x.astype(np.float64)), atol=4e-6)
