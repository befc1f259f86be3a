import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck.normalizers import group_norm, layer_norm

X = np.random.default_rng(0).normal(2.0, 3.0, (5, 12))


def test_each_group_of_a_sample_has_mean_0_and_variance_1():
    y = np.asarray(group_norm(jnp.asarray(X), 4)).reshape(5, 3, 4)
    # Sums of four numbers of order 1.
    np.testing.assert_allclose(y.mean(axis=2), 0, atol=1e-14)
    np.testing.assert_allclose(y.var(axis=2), 1, atol=1e-14)
    # Power: other groups of the same values have other means.
    assert np.abs(y.reshape(5, 4, 3).mean(axis=2)).max() > 0.1


def test_one_group_is_layer_norm_and_eps_is_added_to_the_variance():
    np.testing.assert_allclose(group_norm(jnp.asarray(X), 12, 0.5), layer_norm(jnp.asarray(X), 0.5), atol=1e-15)


def test_no_sample_sees_another():
    alone = group_norm(jnp.asarray(X[:1]), 4)
    np.testing.assert_array_equal(group_norm(jnp.asarray(X), 4)[:1], alone)


def test_groups_that_do_not_divide_or_hold_one_feature_are_refused():
    with pytest.raises(ValueError, match="must divide the number of features, got 5 for 12 features"):
        group_norm(jnp.asarray(X), 5)
    with pytest.raises(ValueError, match="`group_size` must be at least 2 for `group_norm`, got 1: one feature"):
        group_norm(jnp.asarray(X), 1)
