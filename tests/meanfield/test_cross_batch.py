"""The exact two-dimensional integral across two batches against oracles of another derivation, and against the single batch."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck import meanfield
from ntkcheck.meanfield.cross_batch import _across, cross_batch_step
from ntkcheck.meanfield.field import Field
from tests.oracles.batch_norm import cross_laplace_step, cross_sphere_step, laplace_step

# The oracles are asked for 1e-9: the grid's own estimate is the error at twice the step, and halving the step of an analytic
# integrand squares it, so an estimate of 3e-5 will do. Ours claims 1e-11. Power everywhere: one part in a million must show.
BOUND = 1e-8
STEP = jax.jit(cross_batch_step)


def relative(got, expected):
    return np.linalg.norm(np.asarray(got) - expected) / np.linalg.norm(expected)


def assert_same(got, expected):
    for a, b in zip(got, expected, strict=True):
        assert relative(a, b) <= BOUND
        assert not relative(a, b * (1 + 1e-6)) <= BOUND


def gaussian(batch, features, seed=0):
    return np.random.default_rng(seed).standard_normal((batch, features))


def overlapping(batch_1, batch_2, features):
    """Two batches that are correlated sample by sample."""
    x1, x2 = gaussian(batch_1, features), gaussian(batch_2, features, seed=1)
    shared = min(batch_1, batch_2)
    x2[:shared] += x1[:shared]
    return x1, x2


def kernels(x1, x2):
    return tuple(a @ b.T / x1.shape[1] for a, b in ((x1, x1), (x1, x2), (x2, x2)))


def step(x1, x2, theta, slope):
    k11, k12, k22 = kernels(x1, x2)
    return STEP(k11, k22, Field(jnp.asarray(k12), jnp.asarray(theta)), slope)


@pytest.mark.parametrize(
    ("batch_1", "batch_2", "features", "slope"),
    [(5, 4, 12, 0.0), (5, 4, 12, 0.01), (5, 4, 12, 1.0), (5, 4, 12, -1.0), (4, 4, 10, 0.0), (12, 3, 20, 0.0)],
)
def test_one_layer_matches_mixtures_for_any_tangent(batch_1, batch_2, features, slope):
    x1, x2 = overlapping(batch_1, batch_2, features)
    theta = gaussian(batch_1, batch_2, seed=2)
    expected = cross_laplace_step(*kernels(x1, x2), theta, slope)
    assert expected.error < 3e-5
    assert_same(step(x1, x2, theta, slope), expected[:2])


@pytest.mark.parametrize(("batch_1", "batch_2", "features"), [(5, 4, 4), (12, 3, 4), (5, 4, 3)])
def test_batches_with_more_inputs_than_features_match_mixtures(batch_1, batch_2, features):
    x1, x2 = overlapping(batch_1, batch_2, features)
    theta = x1 @ x2.T
    expected = cross_laplace_step(*kernels(x1, x2), theta, 0.0, step=0.06)
    assert expected.error < 3e-5
    assert_same(step(x1, x2, theta, 0.0), expected[:2])


@pytest.mark.parametrize("slope", [0.0, -0.3])
def test_one_layer_matches_cones_of_constant_sign(slope):
    # Batches of three: each alone has an infinite NTK, across them it is finite. 40 nodes on 6 arcs: converged to rounding.
    x1, x2 = overlapping(3, 3, 9)
    theta = gaussian(3, 3, seed=2)
    assert_same(step(x1, x2, theta, slope), cross_sphere_step(*kernels(x1, x2), theta, slope, order=40))


def test_a_deep_network_is_the_composition_of_oracle_steps():
    (x1, x2), sigma_w, sigma_b = overlapping(5, 4, 12), 1.3, 0.4
    k11, k12, k22 = (sigma_w**2 * k + sigma_b**2 for k in kernels(x1, x2))
    theta = k12
    for _ in range(3):
        cross = cross_laplace_step(k11, k12, k22, theta, 0.01)
        k11, k22 = (sigma_w**2 * laplace_step(k, k, 0.01).nngp + sigma_b**2 for k in (k11, k22))
        k12 = sigma_w**2 * cross.nngp + sigma_b**2
        theta = sigma_w**2 * cross.ntk + k12
    got = meanfield.propagate_across(x1, x2, 3, "leaky_relu", sigma_w, sigma_b)
    assert_same(got, (k12, theta))


@pytest.mark.parametrize("depth", [1, 3, 10])
@pytest.mark.parametrize(("batch", "features"), [(4, 12), (4, 3), (8, 12)])
def test_two_equal_batches_have_the_kernels_of_the_single_batch(batch, features, depth):
    x = gaussian(batch, features)
    assert_same(meanfield.propagate_across(x, x, depth), meanfield.propagate(x, depth))


def test_a_batch_of_thirty_two_crossed_with_itself_reordered_scaled_and_shifted_has_its_own_kernels():
    x = gaussian(32, 20)
    order = np.random.default_rng(1).permutation(32)
    single = meanfield.propagate(x, 2)
    assert_same(meanfield.propagate_across(30 * x[order] + 7, x, 2), (single.nngp[order], single.ntk[order]))


@pytest.mark.parametrize("activation", ["relu", "identity", "abs"])
def test_kernels_do_not_depend_on_the_scale_and_shift_of_either_batch(activation):
    x1, x2 = overlapping(5, 4, 12)
    reference = meanfield.propagate_across(x1, x2, 2, activation)
    assert_same(meanfield.propagate_across(1e4 * x1 + 10, 1e-4 * x2 - 3, 2, activation), reference)


def test_exchanging_the_batches_transposes_the_kernels():
    x1, x2 = overlapping(4, 8, 12)
    forth, back = meanfield.propagate_across(x1, x2, 2), meanfield.propagate_across(x2, x1, 2)
    assert_same(forth, (back.nngp.T, back.ntk.T))


def test_a_wrong_slope_and_joint_statistics_would_be_seen():
    x1, x2 = overlapping(5, 4, 12)
    reference = meanfield.propagate_across(x1, x2, 2)
    joint = meanfield.propagate(np.concatenate([x1, x2]), 2)
    for wrong in (meanfield.propagate_across(x1, x2, 2, "leaky_relu"), Field(joint.nngp[:5, 5:], joint.ntk[:5, 5:])):
        for a, b in zip(wrong, reference, strict=True):
            assert relative(a, b) > 1e5 * BOUND


def test_nearly_equal_batches_approach_the_single_batch_as_their_distance():
    # V_c has a square root at coinciding samples: the NTK differs by O(distance), the NNGP by O(distance^2).
    x, noise = gaussian(8, 12), gaussian(8, 12, seed=1)
    single = meanfield.propagate(x, 1)
    far, near = (meanfield.propagate_across(x, x + d * noise, 1) for d in (1e-2, 1e-3))
    for power, a, b, limit in zip((2, 1), far, near, single, strict=True):
        a, b = (np.sum(np.diagonal(limit - kernel)) for kernel in (a, b))
        assert np.log10(a / b) == pytest.approx(power, abs=0.05)


def test_uncorrelated_batches_have_a_product_of_means_as_nngp():
    # C = E[F_1] E[F_2]^T. With equidistant inputs v / |v| is uniform on the sphere of n = B - 1 dimensions and sqrt(B) v_i / |v|
    # is sqrt(n) times a component of it: E[F_i] = sqrt(n) Gamma(n/2) / (2 sqrt(pi) Gamma((n+1)/2)).
    def mean(n):
        return math.sqrt(n) * math.gamma(n / 2) / (2 * math.sqrt(math.pi) * math.gamma((n + 1) / 2))

    x = np.eye(12)
    field = meanfield.propagate_across(x[:5], x[5:9], 1)
    np.testing.assert_allclose(field.nngp, mean(4) * mean(3), rtol=BOUND)
    assert not np.allclose(field.nngp, mean(5) * mean(4), rtol=BOUND)


def test_a_batch_of_two_has_no_gradient_and_a_finite_nngp():
    x1, x2 = overlapping(2, 5, 9)
    field = meanfield.propagate_across(x1, x2, 2)
    np.testing.assert_array_equal(field.ntk, field.nngp)
    k11, k12, k22 = kernels(x1, x2)
    assert relative(step(x1, x2, k12, 0.0).nngp, cross_laplace_step(k11, k12, k22, k12, 0.0).nngp) <= BOUND


@pytest.mark.parametrize("directions", [1, 2])
def test_batches_of_too_few_directions_have_an_infinite_ntk_and_a_finite_nngp(directions):
    x1, x2 = (np.pad(gaussian(batch, directions, seed=batch), ((0, 0), (0, 12 - directions))) for batch in (5, 4))
    field = meanfield.propagate_across(x1, x2, 2)
    assert np.isposinf(field.ntk).all()
    assert np.isfinite(field.nngp).all()


def test_kernels_are_computed_in_double_precision_whatever_the_setting():
    x1, x2 = overlapping(5, 4, 12)
    reference = meanfield.propagate_across(x1, x2, 2)
    with jax.enable_x64(False):
        field = meanfield.propagate_across(x1, x2, 2)
    assert field.ntk.dtype == np.float64
    np.testing.assert_array_equal(field.ntk, reference.ntk)


def test_bad_batches_are_refused_by_name():
    x = gaussian(4, 3)
    with pytest.raises(ValueError, match="`x2` must have the 3 features of `x1`, got 5"):
        meanfield.propagate_across(x, gaussian(4, 5))
    with pytest.raises(ValueError, match="`x2` must be finite, but sample 1"):
        meanfield.propagate_across(x, np.where(np.arange(4)[:, None] == 1, np.nan, x))
    with pytest.raises(ValueError, match="`x1` must hold at least 2 samples, got 1"):
        meanfield.propagate_across(x[:1], x)
    with pytest.raises(ValueError, match="positively homogeneous, got 'tanh'; try relu"):
        meanfield.propagate_across(x, x, activation="tanh")


def test_one_compilation_serves_every_depth():
    x1, x2 = overlapping(5, 4, 12)
    meanfield.propagate_across(x1, x2, 1)
    compiled = _across.program()._cache_size()
    meanfield.propagate_across(2 * x1, x2, 3, "abs", 1.2)
    assert _across.program()._cache_size() == compiled
