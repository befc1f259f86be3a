import functools
import math

import numpy as np
import pytest

from ntkcheck import normalizers
from ntkcheck.meanfield import Profile, Sampled, batch_norm_fixed_point, make_network, profile
from ntkcheck.meanfield.correlation_map import correlation_map
from ntkcheck.meanfield.growth import correlation_slope, gradient_growth, second_moment_growth

X = np.random.default_rng(0).standard_normal((8, 20))
HE = 2**0.5
LIMIT = math.pi / (math.pi - 1)

# The variance of a copy and its covariance with the original may differ by a rounding, 1e-16: their angle is 2e-8, not 0.
COPY = 1e-7


@functools.cache
def isotropic(normalizer, depth, sigma_w=1.0):
    return profile(X, make_network(depth, normalizer, "relu", sigma_w), np.eye(8)[None])


def test_weight_mean_at_he_variance_has_a_chaotic_slope_a_critical_gradient_and_a_shrinking_length():
    sampled = isotropic("weight_mean", 12, HE)
    slope = correlation_slope(X, make_network(12, "weight_mean", "relu", HE))
    for factor in (second_moment_growth(sampled), gradient_growth(sampled), slope):
        assert factor.shape == (1, 12)
    # Closed forms, a few roundings a layer.
    np.testing.assert_allclose(second_moment_growth(sampled), 1 - 1 / np.pi, rtol=1e-13)
    np.testing.assert_allclose(gradient_growth(sampled), 1, rtol=1e-13)
    np.testing.assert_allclose(slope, LIMIT, rtol=COPY)


@pytest.mark.parametrize(
    ("normalizer", "activation"), [("none", "relu"), ("weight_mean", "abs"), ("layer_norm", "tanh")]
)
def test_slopes_are_those_of_the_correlation_map_at_one(normalizer, activation):
    network = make_network(10, normalizer, activation, 1.5, 0.0)
    slope = correlation_slope(X, network)
    expected = float(correlation_map(activation, normalizer, 1.5).slope(1.0))
    # LayerNorm's inputs have their own lengths: the map at the length fixed point holds from the second layer on.
    np.testing.assert_allclose(slope[:, 1:], expected, rtol=COPY)
    absolute = 1.5**2 * float(network.activation.derivative_second_moment(np.float64(1.0)))
    assert (np.abs(slope[:, 1:] / absolute - 1) > COPY).all()  # power: squared distances not relative to the length


def test_batch_norm_tends_to_the_rates_of_its_fixed_point():
    depth = 90
    sampled = isotropic("batch_norm", depth)
    slope = correlation_slope(X, make_network(depth, "batch_norm", "relu"))
    # tr K' = B / 2 whatever the batch.
    np.testing.assert_allclose(second_moment_growth(sampled)[:, 1:], 1, rtol=1e-12)
    # Deviations shrink by 0.744 per layer: 3e-12 after 90.
    assert gradient_growth(sampled)[0, -1] == pytest.approx(batch_norm_fixed_point.gradient_growth(8), rel=1e-10)
    assert slope[0, -1] == pytest.approx(batch_norm_fixed_point.correlation_slope(8), rel=COPY)
    # Power: neither the population's rate nor each other's.
    assert slope[0, -1] != pytest.approx(batch_norm_fixed_point.gradient_growth(8), rel=1e-2)
    assert gradient_growth(sampled)[0, -1] != pytest.approx(LIMIT, rel=1e-2)


def test_the_copy_stays_a_copy_where_rounding_would_have_separated_it():
    network = make_network(100, "weight_mean", "leaky_relu")
    e = np.zeros(8)
    e[[0, -1]] = 0.5**0.5, -(0.5**0.5)
    expected = float(correlation_map("leaky_relu", "weight_mean").slope(1.0))
    plain = profile(np.concatenate([X[:-1], X[:1]]), network, np.outer(e, e)[None]).replicates
    distance = np.einsum("b,lbc,c->l", e, plain.tangents[0, :, 1], e) / np.trace(plain.nngp[0], axis1=1, axis2=2)
    # Power: 1e-16 x 1.45^100 = 1, so the plain profile's last layers no longer see a copy.
    assert abs(distance[-1] / distance[-2] / expected - 1) > 1e-2
    np.testing.assert_allclose(correlation_slope(X, network), expected, rtol=COPY)


def test_growth_is_read_off_every_replicate_and_layer():
    scale = np.array([[1.0, 2.0, 6.0], [1.0, 4.0, 2.0]])
    kernels = scale[:, :, None, None] * np.eye(3)
    sampled = Sampled(Profile(kernels, np.stack([7 * kernels, kernels], axis=2), kernels[:, 1:]), (math.inf, 0))
    for growth in (second_moment_growth, gradient_growth):
        np.testing.assert_array_equal(growth(sampled), [[2, 3], [4, 0.5]])


def test_sampled_slopes_agree_with_the_integral_within_their_error():
    sampled, exact = (make_network(4, f, "relu") for f in (lambda u: normalizers.batch_norm(u), "batch_norm"))
    found, truth = correlation_slope(X, sampled, samples=16 * 512, replicates=16), correlation_slope(X, exact)
    assert found.shape == (16, 4)
    # The first layer is left out: the batch's mean is in the inputs' length there, and not in the exact one's. One mean
    # over layers per replicate; its bias is O(1/512), a third of its standard error at 1 / sqrt(16 x 512 / 2).
    means = found[:, 1:].mean(1)
    standard_error = means.std(ddof=1) / 16**0.5
    assert abs(means.mean() - truth[:, 1:].mean()) < 4 * standard_error
    assert abs(means.mean() - 1.05 * truth[:, 1:].mean()) > 4 * standard_error  # power: five per cent


def squared_gradients(batch, width, layers, seed):
    """Squared norms of a random cotangent pulled back through [BatchNorm, ReLU, Dense] layers in NumPy, last layer first."""
    rng = np.random.default_rng(seed)
    h = rng.standard_normal((batch, width))
    normalised, weights = [], []
    for _ in range(layers):
        w = rng.standard_normal((width, width)) / width**0.5
        z, scale = (h - h.mean(0)) / h.std(0), h.std(0)
        normalised.append((z, scale))
        weights.append(w)
        h = np.maximum(z, 0) @ w
    g = rng.standard_normal(h.shape)
    g -= g.mean(0)
    norms = [np.sum(g**2)]
    for (z, scale), w in zip(normalised[:0:-1], weights[:0:-1], strict=True):
        g = (g @ w.T) * (z > 0)
        g = (g - g.mean(0) - z * (g * z).mean(0)) / scale
        norms.append(np.sum(g**2))
    return np.array(norms)


def test_gradients_of_wide_networks_grow_backwards_as_the_tangent_does_forwards():
    # Isotropic inputs: the kernel is at its fixed point from the second layer on, and a centred isotropic cotangent is the
    # backward map's eigenvector. The mean over seeds of the norms, not of their ratios, has no bias at infinite width.
    runs = np.array([squared_gradients(8, 200, 7, seed) for seed in range(40)])
    total = runs[:, -1] / runs[:, 0]
    mean, standard_error = total.mean(), total.std(ddof=1) / 40**0.5
    # Finite width: each layer's rate is off by about 1/200, six layers by 3 %, the standard error of 40 seeds.
    assert abs(mean - batch_norm_fixed_point.gradient_growth(8) ** 6) < 4 * standard_error
    assert abs(mean - LIMIT**6) > 4 * standard_error  # power: the population's rate
    assert abs(mean - batch_norm_fixed_point.correlation_slope(8) ** 6) > 4 * standard_error


def test_gradient_growth_asks_for_its_tangent():
    network = make_network(2, "none", "relu")
    with pytest.raises(
        ValueError, match=r"`sampled` must carry the isotropic tangent.*call profile\(x, network, np.eye\(8\)"
    ):
        gradient_growth(profile(X, network))
    with pytest.raises(ValueError, match="`sampled` must carry the isotropic tangent"):
        gradient_growth(profile(X, network, 2 * np.eye(8)[None]))


def test_correlation_slope_refuses_what_profile_refuses():
    with pytest.raises(ValueError, match="`x` must be finite, but sample 1 is not"):
        correlation_slope(np.array([[1.0], [np.nan]]), make_network(2, "none", "relu"))
