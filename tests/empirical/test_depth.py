"""What a network does through its depth, against derivatives by hand in NumPy and finite differences, in float64."""

import jax
import numpy as np
import pytest

from ntkcheck.empirical.depth import derivatives_through_depth, forward_through_depth
from ntkcheck.empirical.network import hidden_layers, init
from ntkcheck.network import make_network

FEATURES, WIDTH, SIGMA_W = 6, 8, 1.3

layers_of = jax.jit(hidden_layers, static_argnames="network")


def case(normalizer, batch, depth, batches=2):
    """A network, its weights and inputs; from NumPy, which compiles nothing."""
    rng = np.random.default_rng(0)
    shapes = {"first": (FEATURES, WIDTH), "hidden": (depth - 1, WIDTH, WIDTH), "readout": (WIDTH, 1)}
    params = {
        name: {"w": rng.standard_normal(shape), "b": rng.standard_normal(shape[:-2] + shape[-1:])}
        for name, shape in shapes.items()
    }
    network = make_network(depth, normalizer, "leaky_relu", SIGMA_W, 0.2)
    return network, params, rng.standard_normal((batches, batch, FEATURES))


@pytest.mark.parametrize(("normalizer", "batch", "depth"), [("batch_norm", 5, 4), ("none", 2, 2)])
def test_correlations_and_second_moments_are_those_of_every_batch_by_itself(normalizer, batch, depth):
    network, params, x = case(normalizer, batch, depth, batches=3)
    found = forward_through_depth(params, x, network)
    assert found.correlation.shape == (depth, 3, batch // 2)  # the last of an odd number has no partner
    moments = []
    for index, each in enumerate(x):
        h, normalized, _ = map(np.asarray, layers_of(params, each, network))
        moments.append((h**2).mean((1, 2)))
        for pair in range(batch // 2):
            a, b = normalized[:, 2 * pair], normalized[:, 2 * pair + 1]
            cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
            np.testing.assert_allclose(found.correlation[:, index, pair], cosine, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.second_moment, np.mean(moments, axis=0), rtol=1e-12)


def pulled_back(gradient, h, w, network):
    """A gradient with respect to one layer's pre-activations, from that of the next, by the textbook's formulas."""
    gradient = SIGMA_W / WIDTH**0.5 * gradient @ w.T
    if network.normalizer.centred_weights:
        gradient = gradient - gradient.mean(1, keepdims=True)
    normalized = (h - h.mean(0)) / h.std(0) if network.normalizer.name == "batch_norm" else h
    gradient = gradient * np.where(normalized > 0, 1, network.activation.slope)
    if network.normalizer.name == "batch_norm":
        return (gradient - gradient.mean(0) - normalized * (gradient * normalized).mean(0)) / h.std(0)
    return gradient


@pytest.mark.parametrize(("normalizer", "batch", "depth"), [("batch_norm", 5, 4), ("weight_mean", 3, 2)])
def test_gradients_are_those_of_a_random_function_of_the_last_pre_activations(normalizer, batch, depth):
    (network, params, x), key = case(normalizer, batch, depth), jax.random.key(9)
    found = derivatives_through_depth(key, params, x, network).gradient
    assert found.shape == (depth,)
    # The cotangent, drawn as the function draws it.
    z = np.asarray(jax.random.normal(jax.random.split(key)[0], (2, batch, WIDTH)))
    squares = np.zeros((depth, 2))
    for index in range(2):
        h, gradient = np.asarray(layers_of(params, x[index], network)[0]), z[index]
        squares[-1, index] = (gradient**2).mean()
        for layer in reversed(range(depth - 1)):
            gradient = pulled_back(gradient, h[layer], params["hidden"]["w"][layer], network)
            squares[layer, index] = (gradient**2).mean()
    np.testing.assert_allclose(found, squares.mean(1), rtol=1e-11)
    assert not np.allclose(found[:-1], squares[1:].mean(1), rtol=1e-2)  # power: one layer further


def distances(params, network, x, direction, step):
    """Squared distance over squared length of two samples `step` apart, through depth, in units of step^2."""
    taps = np.zeros((network.depth, len(x), len(direction)))
    taps[0, 0], taps[0, -1] = step * direction, -step * direction
    h = np.asarray(layers_of(params, np.concatenate([x[:-1], x[:1]]), network, taps)[0])
    a, b = h[:, 0], h[:, -1]
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return 2 * (1 - cosine) / step**2


@pytest.mark.parametrize(("normalizer", "batch"), [("batch_norm", 5), ("layer_norm", 2)])
def test_the_distance_of_a_close_pair_is_that_of_a_finite_difference(normalizer, batch):
    (network, params, x), key = case(normalizer, batch, depth=4), jax.random.key(9)
    found = derivatives_through_depth(key, params, x, network).distance
    assert found.shape == (4, 2)
    directions = np.asarray(jax.random.normal(jax.random.split(key)[1], (2, WIDTH)))
    expected = np.stack([distances(params, network, x[i], directions[i], 1e-5) for i in range(2)], axis=1)
    # 1 - cosine is 1e-10 with rounding 1e-16: 1e-6 relative; the next order in the step is 1e-5 times the derivatives' size,
    # some tens under BatchNorm with few samples.
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    other = np.stack([distances(params, network, x[i], directions[1 - i], 1e-5) for i in range(2)], axis=1)
    assert np.abs(other / found - 1).max() > 1e-2  # power: another direction


def test_a_close_pair_stays_close_in_deep_chaos():
    network, width = make_network(300, "weight_mean", "relu", 2**0.5), 64
    params = init(jax.random.key(0), network, FEATURES, width)
    _, _, x = case("none", batch=4, depth=2)
    distance = np.asarray(derivatives_through_depth(jax.random.key(1), params, x, network).distance)
    growth = (distance[-1] / distance[100]) ** (1 / 199)
    # Fluctuations of log growth of order (2 / width / 199)^(1/2) a layer, and a bias O(2 / width).
    assert growth == pytest.approx(np.pi / (np.pi - 1), rel=4 * (2 / width / 199) ** 0.5 + 2 / width)
    # Power: copies that differ by a rounding, 1e-16, would be far apart, 1.21^300 = 6e24 times further.
    apart = distances(params, network, x[0], np.ones(width), 1e-16)[-1] * 1e-32
    assert apart > 0.1


def test_the_same_key_gives_the_same_derivatives():
    network, params, x = case("batch_norm", 5, 4)
    first, second, other = (
        derivatives_through_depth(jax.random.key(seed), params, x, network).gradient for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, other, rtol=1e-6)
