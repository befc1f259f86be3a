"""The exact one-dimensional integral for BatchNorm against oracles of another derivation (planar wedges, adaptive quadrature)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck import meanfield
from ntkcheck.meanfield.batch_norm import batch_norm_nngp, batch_norm_step
from ntkcheck.meanfield.field import Field
from ntkcheck.meanfield.propagate import _readout
from tests.oracles.batch_norm import center, laplace_step, network, sphere_step

# The oracle refuses to answer with a quadrature error above 1e-9, and its rounding is 5e-12 for near-duplicates 1e-4 apart; ours
# claims 1e-11. Power everywhere: a change of one part in a million must show.
BOUND = 1e-8
SLOPES = {"relu": 0.0, "leaky_relu": 0.01, "identity": 1.0, "abs": -1.0}


def relative(got, expected):
    return np.linalg.norm(np.asarray(got) - expected) / np.linalg.norm(expected)


def gaussian(batch, features, seed=0):
    return np.random.default_rng(seed).standard_normal((batch, features))


def assert_same(got, expected):
    for a, b in zip(got, expected, strict=True):
        assert relative(a, b) <= BOUND
        assert not relative(a, b * (1 + 1e-6)) <= BOUND


def assert_matches_oracle(x, depth, activation="relu", sigma_w=1.0, sigma_b=0.0):
    got = meanfield.propagate(x, depth, "batch_norm", activation, sigma_w, sigma_b)
    assert_same(got, network(x, depth, SLOPES[activation], sigma_w, sigma_b))


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("batch", [4, 5])
def test_small_batches_match_the_oracle_at_every_depth(batch, depth):
    assert_matches_oracle(gaussian(batch, 20), depth)


@pytest.mark.parametrize(("batch", "features", "depth"), [(8, 20, 5), (32, 64, 3), (128, 64, 1)])
def test_larger_batches_match_the_oracle(batch, features, depth):
    assert_matches_oracle(gaussian(batch, features), depth)


@pytest.mark.parametrize(("batch", "features"), [(32, 5), (32, 3), (8, 3)])
def test_batches_with_more_inputs_than_features_match_the_oracle(batch, features):
    assert_matches_oracle(gaussian(batch, features), 2)


@pytest.mark.parametrize("activation", list(SLOPES))
def test_every_homogeneous_activation_matches_the_oracle(activation):
    assert_matches_oracle(gaussian(8, 20), 3, activation)
    assert_matches_oracle(gaussian(8, 20), 2, activation, sigma_w=1.3, sigma_b=0.4)


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_scaled_inputs_match_the_oracle(scale):
    assert_matches_oracle(scale * gaussian(8, 20), 2)
    assert_matches_oracle(scale * gaussian(8, 20), 2, sigma_b=0.3)


def test_inputs_of_unequal_scales_match_the_oracle():
    assert_matches_oracle(gaussian(8, 20) * 10.0 ** np.linspace(-3, 3, 20), 2)


def test_shifted_features_match_the_oracle():
    assert_matches_oracle(gaussian(8, 20) + 1e3 * gaussian(1, 20, seed=1), 2)


@pytest.mark.parametrize("distance", [1e-2, 1e-4])
def test_near_duplicates_match_the_oracle(distance):
    x = gaussian(8, 20)
    x[1] = x[0] + distance * gaussian(1, 20, seed=1)
    assert_matches_oracle(x, 2)


@pytest.mark.parametrize("batch", [5, 32])
def test_duplicates_match_the_oracle_and_have_equal_kernels(batch):
    x = gaussian(batch, 20)
    x[1] = x[0]
    assert_matches_oracle(x, 3)
    # An angle of 0 known from a determinant up to rounding is sqrt(eps) = 1.5e-8 off, on one entry and per layer.
    field = meanfield.propagate(x, 3)
    np.testing.assert_allclose(field.ntk[0], field.ntk[1], rtol=3 * 4 * 1.5e-8)
    np.testing.assert_allclose(field.nngp[0], field.nngp[1], rtol=1e-13)
    assert abs(field.ntk[0, 2] / field.ntk[0, 1] - 1) > 0.1


@pytest.mark.parametrize(("batch", "features"), [(4, 10), (5, 3), (32, 64)])
def test_kernels_do_not_depend_on_the_scale_and_shift_of_the_inputs(batch, features):
    x = gaussian(batch, features)
    reference = meanfield.propagate(x, 3)
    for scale, shift in ((1e-4, 0.0), (1e4, 0.0), (3.0, 10.0)):
        moved = meanfield.propagate(scale * x + shift, 3)
        assert_same(moved, reference)
    # Power: the kernels are not constant.
    assert relative(meanfield.propagate(x + 0.1 * gaussian(batch, features, seed=1), 3).nngp, reference.nngp) > 1e-3


def test_a_wrong_slope_or_batch_size_would_be_seen():
    x = gaussian(8, 20)
    for got in (meanfield.propagate(x, 2, activation="leaky_relu"), meanfield.propagate(x[:7], 2)):
        expected = network(x, 2, 0.0)
        for a, b in zip(got, expected, strict=True):
            assert relative(a, b[: len(a), : len(a)]) > 1e5 * BOUND


def test_centring_the_kernel_with_the_unbiased_variance_would_be_seen():
    # B replaced by B - 1 in sqrt(B) v / |v|: both kernels of a layer shrink by that factor.
    K, Theta = (a @ a.T / 20 for a in (gaussian(8, 20), gaussian(8, 20, seed=1)))
    expected = laplace_step(K, Theta, 0.0)
    for a, b in zip(batch_norm_step(Field(jnp.asarray(K), jnp.asarray(Theta))), expected, strict=False):
        assert relative(a, b) <= BOUND < relative(a * 7 / 8, b)


@pytest.mark.parametrize("slope", [0.0, -0.3, 1.0])
def test_one_layer_matches_cones_of_constant_sign_for_any_tangent(slope):
    # A second oracle, by no integral over s; 40 nodes a direction leave 1e-10 (test_oracles).
    K, Theta = (a @ a.T / 9 for a in (gaussian(4, 9), gaussian(4, 9, seed=1)))
    cones = sphere_step(K, Theta + 1.0, slope)
    assert cones.error <= BOUND / 10
    assert_same(batch_norm_step(Field(jnp.asarray(K), jnp.asarray(Theta) + 1.0), slope), cones[:2])


@pytest.mark.parametrize("slope", SLOPES.values())
def test_a_batch_of_two_has_its_closed_form(slope):
    # v / |v| = +-(1, -1) / sqrt 2: F takes the two values (1, -slope) and (-slope, 1), and does not change between them.
    diagonal, across = (1 + slope**2) / 2, -slope
    field = batch_norm_step(Field(jnp.asarray([[2.0, 0.3], [0.3, 1.0]]), jnp.eye(2)), slope)
    np.testing.assert_allclose(field.nngp, [[diagonal, across], [across, diagonal]], atol=1e-12)
    np.testing.assert_array_equal(field.ntk, np.zeros((2, 2)))


def test_the_ntk_of_a_batch_of_two_is_that_of_the_readout_alone():
    field = meanfield.propagate(gaussian(2, 5), 4, sigma_w=1.5, sigma_b=0.5)
    np.testing.assert_array_equal(field.ntk, field.nngp)


@pytest.mark.parametrize("depth", [1, 3])
def test_a_batch_of_three_has_an_infinite_ntk_and_a_finite_nngp(depth):
    # Equidistant inputs: v/|v| is uniform on the circle, Sigma = G stays proportional to G, and K' is the arc-cosine kernel at
    # angles 0 and 2 pi / 3, at every depth.
    field = meanfield.propagate(np.eye(3), depth)
    angle = 2 * np.pi / 3 * (1 - np.eye(3))
    np.testing.assert_allclose(field.nngp, (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi), rtol=1e-12)
    assert np.isposinf(field.ntk).all()


@pytest.mark.parametrize("features", [1, 2])
@pytest.mark.parametrize("depth", [1, 2])
def test_batches_of_fewer_than_three_directions_have_an_infinite_ntk_and_a_finite_nngp(features, depth):
    field = meanfield.propagate(gaussian(6, features), depth)
    assert np.isposinf(field.ntk).all()
    assert np.isfinite(field.nngp).all()


def test_the_nngp_of_one_direction_is_that_of_two_values():
    # One feature: v = x g, F = phi(sqrt(B) x sign(g) / |x|), two equally probable values.
    x = gaussian(6, 1)
    values = np.sqrt(6) * np.maximum(
        center(x @ x.T)[0] / np.linalg.norm(center(x @ x.T)[0]) * np.array([[1.0], [-1.0]]), 0
    )
    # The integrand falls like s^(-1/2) in log s here; the range ends where it is 1e-13 of its largest value.
    np.testing.assert_allclose(meanfield.propagate(x, 1).nngp, values.T @ values / 2, atol=1e-10)


def test_the_nngp_alone_is_that_of_the_full_step():
    K = gaussian(9, 20) @ gaussian(9, 20).T / 20
    full = batch_norm_step(Field(jnp.asarray(K), jnp.eye(9)), 0.2).nngp
    np.testing.assert_allclose(batch_norm_nngp(jnp.asarray(K), 0.2), full, rtol=1e-14)
    assert not np.allclose(batch_norm_nngp(jnp.asarray(K), 0.2 + 1e-6), full, rtol=1e-14)


def test_the_normalised_pre_activations_have_variance_one_over_the_batch():
    # The mean of squares over the batch is 1 for every neuron, so tr K' = B; the mean is 0, so K' 1 = 0.
    K = batch_norm_nngp(jnp.asarray(gaussian(9, 4) @ gaussian(9, 4).T), slope=1.0)
    np.testing.assert_allclose(jnp.trace(K), 9, rtol=1e-13)
    np.testing.assert_allclose(K.sum(axis=1), 0, atol=1e-13)


def test_single_precision_reaches_its_rounding():
    # eps = 1.2e-7 where the range is cut and on each of B^2 products; the conditions of Sigma and of the angles are about 10.
    K = gaussian(8, 64) @ gaussian(8, 64).T / 64
    single = batch_norm_step(Field(jnp.asarray(K, jnp.float32), jnp.asarray(K, jnp.float32)))
    expected = laplace_step(K, K, 0.0)
    for a, b in zip(single, expected, strict=False):
        assert a.dtype == jnp.float32
        assert relative(a, b) <= 1e-5 < relative(a * (1 + 1e-4), b)


def test_the_loop_over_depth_is_compiled_once():
    with jax.enable_x64(True):
        meanfield.propagate(gaussian(6, 7), 2)
        compiled = _readout.program()._cache_size()
        meanfield.propagate(gaussian(6, 11, seed=3), 5)
        assert _readout.program()._cache_size() == compiled
