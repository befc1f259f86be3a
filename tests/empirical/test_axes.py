"""Weights without their mean, in the ways that they are written, and what only looks like them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ntkcheck.empirical import empirical_ntk, empirical_ntk_jacobian
from ntkcheck.empirical.linearization import trace
from ntkcheck.empirical.sites import Dense
from ntkcheck.normalizers import centre_weights

RNG = np.random.default_rng(0)
W, X = jnp.asarray(RNG.standard_normal((4, 4))), jnp.asarray(RNG.standard_normal((3, 4)))
KERNEL, IMAGES = jnp.asarray(RNG.standard_normal((2, 2, 2, 6))), jnp.asarray(RNG.standard_normal((3, 4, 4, 6)))


def convolve(x, w):
    spec = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, w, (2, 1), "VALID", dimension_numbers=spec, feature_group_count=3).sum((1, 2))


def subtract_mean(w):
    return w - w.mean(0)


def weight_mean(w):
    return centre_weights(w.reshape(-1, w.shape[-1])).reshape(w.shape)


CENTRED = {
    "over the first axis": lambda w: X @ subtract_mean(w),
    "keeping the axis": lambda w: X @ (0.3 * (w - w.mean(0, keepdims=True))),
    "of transposed weights": lambda w: X @ (w - w.mean(1, keepdims=True)).T,
    "as a sum times a number": lambda w: X @ (w - w.sum(0) * 0.25),
    "of multiplied weights": lambda w: X @ subtract_mean(2 * w).reshape(4, 2, 2).reshape(4, 4),
}
OTHERS = {
    "over the fan-out": lambda w: X @ (w - w.mean(1, keepdims=True)),
    "along the wrong axis": lambda w: X @ (w - w.mean(0)[:, None]),
    "over everything": lambda w: X @ (w - w.mean()),
    "divided by another number": lambda w: X @ (w - w.sum(0) / 3),
    "divided by itself": lambda w: X @ (w - 1 / w.sum(0)),
    "the other way round": lambda w: X @ (w.mean(0) - w),
    "with another use": lambda w: X @ subtract_mean(w) + X @ w,
    "with another use of the mean": lambda w: X @ subtract_mean(w) + w.mean(0),
    "twice": lambda w: X @ subtract_mean(subtract_mean(w)),
}
CONVOLUTIONS = {"a convolution": lambda w: convolve(IMAGES, weight_mean(w))}


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def joined(layers):
    """The layers side by side, each with weights of its own."""
    return lambda w, _: jnp.concatenate([jnp.tanh(layer(w[name])) for name, layer in layers.items()], axis=1)


@pytest.mark.parametrize(
    ("layers", "weight", "expected"),
    [(CENTRED, W, True), (CONVOLUTIONS, KERNEL, True), (OTHERS, W, False)],
    ids=["centred", "convolution", "others"],
)
def test_subtracted_mean_is_recognised_where_it_is_that_of_the_fan_in(layers, weight, expected):
    weights = {name: weight + i for i, name in enumerate(sorted(layers))}
    apply = joined(layers)
    sites = trace(apply, weights, X).sites
    found = {name: isinstance(site, Dense) and site.centred for name, site in zip(weights, sites.values(), strict=True)}
    assert found == dict.fromkeys(weights, expected)
    oracle = empirical_ntk_jacobian(apply, weights, X)
    for coupled in (True, False):
        # Rounding, as in test_ntk.py; a mean that is not subtracted shows at 1e-2 and more.
        kernel = empirical_ntk(apply, weights, X, batch_coupled=coupled)
        np.testing.assert_allclose(kernel, oracle, rtol=0, atol=1e-12 * np.abs(oracle).max())
