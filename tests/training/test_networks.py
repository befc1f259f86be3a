"""Networks that are trained, kinds of their parameters, and how far these move."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck.training.displacement import displacements, kinds, rate_factors
from ntkcheck.training.networks import NAMES, NORMALIZERS, make

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (6, 8, 8, 3), jnp.float32)


def small(normalizer, **options):
    return make("cnn3", normalizer, 10, "cifar", key=KEY, **options)


@pytest.mark.parametrize("normalizer", [name for name in NORMALIZERS if name != "fixup"])
def test_the_small_network_takes_every_normaliser(normalizer):
    logits = small(normalizer)(X)
    assert logits.shape == (6, 10)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_network_can_have_batch_norm_after_its_last_layer_alone(name):
    form = "imagenet" if name == "squeezenet1_1" else "cifar"
    model = jax.eval_shape(lambda key: make(name, "last_batch_norm", 10, form, key=key), KEY)
    straight = jax.eval_shape(lambda key: make(name, "none", 10, form, key=key), KEY)
    assert [a.shape for a in jax.tree.leaves(model)] == [a.shape for a in jax.tree.leaves(straight)]


def test_networks_of_the_same_key_have_the_same_weights_and_the_last_batch_norm_standardises_their_logits():
    straight, last = small("none"), small("last_batch_norm")
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(straight), jax.tree.leaves(last), strict=True))
    logits = np.asarray(straight(X), np.float64)
    expected = (logits - logits.mean(0)) / np.sqrt(logits.var(0) + 1e-5)
    assert np.allclose(last(X), expected, atol=1e-5)  # float32, values of order 1


def test_batch_norm_on_the_input_takes_scale_and_offset_of_each_channel_out():
    model = small("none", inputs="batch_norm")
    # eps = 1e-5 over the variances 1 and 1e4 of the pixels is less than 1e-5
    assert np.allclose(model(X), model(100 * X - jnp.array([30.0, 0.0, 7.0], jnp.float32)), atol=1e-4)
    assert not np.allclose(small("none")(X), small("none")(100 * X), atol=1)


def test_scales_and_shifts_of_normalisers_are_told_from_weights_and_from_other_scalars():
    found = jax.tree.leaves(kinds(small("batch_norm")))
    assert [found.count(kind) for kind in ("scale", "shift", "weight", "other")] == [3, 3, 4, 1]  # the readout's bias
    mimic = jax.tree.leaves(
        kinds(jax.eval_shape(lambda key: make("resnet18", "mimic_norm", 10, "cifar", key=key), KEY))
    )
    assert mimic.count("scale") == 0, "branch gains are no scales of a normaliser"


def test_the_factor_of_the_learning_rate_is_that_of_scales_alone():
    model = small("scaled_batch_norm")
    factors = rate_factors(model, 0.01)
    assert [unit.norm.affine.scale for unit in factors.network.units] == [0.01] * 3
    assert jax.tree.leaves(factors).count(0.01) == 3


def test_displacements_are_root_mean_squares_over_all_parameters_of_a_kind():
    before = small("scaled_batch_norm")
    shifts = {"scale": 0.3, "shift": -0.2, "other": 5.0}
    after = jax.tree.map(lambda kind, a: 1.5 * a if kind == "weight" else a + shifts[kind], kinds(before), before)
    found = displacements(before, after)
    # float32 sums of up to 23616 weights
    assert np.isclose(found["scale_displacement"], 0.3, rtol=1e-5)
    assert np.isclose(found["shift_displacement"], 0.2, rtol=1e-5)
    assert np.isclose(found["weight_displacement"], 0.5, rtol=1e-5)
