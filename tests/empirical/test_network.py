"""Random networks of finite width: the parametrisation is the theory's."""

import jax
import jax.numpy as jnp
import numpy as np

from ntkcheck import normalizers
from ntkcheck.empirical.network import apply_function, dense, hidden_layers, init
from ntkcheck.network import make_network
from ntkcheck.normalizers import centre_weights

BATCH, FEATURES, WIDTH = 5, 7, 6
X = np.random.default_rng(0).standard_normal((BATCH, FEATURES))
WITH_BIAS = make_network(3, "batch_norm", "leaky_relu", 1.3, 0.4)

layers_of = jax.jit(hidden_layers, static_argnames="network")


def test_parameters_have_the_shapes_of_the_layers():
    params = init(jax.random.key(0), WITH_BIAS, FEATURES, WIDTH)
    shapes = {name: {kind: value.shape for kind, value in layer.items()} for name, layer in params.items()}
    assert shapes == {
        "first": {"w": (FEATURES, WIDTH), "b": (WIDTH,)},
        "hidden": {"w": (2, WIDTH, WIDTH), "b": (2, WIDTH)},
        "readout": {"w": (WIDTH, 1), "b": (1,)},
    }


def test_there_are_biases_only_where_they_have_a_scale():
    params = init(jax.random.key(0), WITH_BIAS._replace(sigma_b=0.0), FEATURES, WIDTH)
    assert all(set(layer) == {"w"} for layer in params.values())
    # The weights of a key do not depend on whether there are biases.
    np.testing.assert_array_equal(
        params["hidden"]["w"], init(jax.random.key(0), WITH_BIAS, FEATURES, WIDTH)["hidden"]["w"]
    )


def test_weights_are_independent_standard_gaussians():
    params = init(jax.random.key(1), make_network(4, "none", sigma_b=1.0), 50, 60)
    for layer in params.values():
        for values in map(np.ravel, layer.values()):
            count = values.size
            assert abs(values.mean()) < 4 / count**0.5
            assert abs((values**2).mean() - 1) < 4 * (2 / count) ** 0.5  # the square's variance is 2
    w = params["hidden"]["w"]
    assert abs(np.mean(w[0] * w[1])) < 4 / w[0].size ** 0.5


def layer_by_layer(params, x, network):
    """[Dense, normaliser, activation] x depth and Dense in NumPy, without centring: all pre-activations and the output."""
    weights = [params["first"]["w"], *params["hidden"]["w"], params["readout"]["w"]]
    biases = [params["first"]["b"], *params["hidden"]["b"], params["readout"]["b"]]
    pre_activations = []
    for w, b in zip(weights, biases, strict=True):
        h = network.sigma_w * x @ np.asarray(w) / np.sqrt(len(w)) + network.sigma_b * np.asarray(b)
        pre_activations.append(h)
        normalized = (h - h.mean(0)) / h.std(0)
        x = np.where(normalized > 0, normalized, network.activation.slope * normalized)
    return np.stack(pre_activations[:-1]), pre_activations[-1]


def test_a_network_computes_what_its_description_says():
    params = init(jax.random.key(2), WITH_BIAS, FEATURES, WIDTH)
    h, normalized, last = layers_of(params, X, WITH_BIAS)
    expected_h, expected = layer_by_layer(params, X, WITH_BIAS)
    # A few dozen operations a layer in float64.
    np.testing.assert_allclose(h, expected_h, rtol=1e-11)
    np.testing.assert_allclose(apply_function(WITH_BIAS)(params, X), expected, rtol=1e-11)
    np.testing.assert_allclose(normalized, (h - h.mean(1, keepdims=True)) / h.std(1, keepdims=True), rtol=1e-11)
    np.testing.assert_allclose(last, WITH_BIAS.activation.phi(normalized[-1]), rtol=1e-14)
    # Power: the standard parametrisation's scale, or no bias.
    assert not np.allclose(layer_by_layer(params, X, WITH_BIAS._replace(sigma_w=1.0))[1], expected, rtol=1e-3)
    assert not np.allclose(layer_by_layer(params, X, WITH_BIAS._replace(sigma_b=0.0))[1], expected, rtol=1e-3)


def test_taps_are_added_to_the_pre_activations():
    network = make_network(3, "layer_norm", "tanh", 1.2)
    params = init(jax.random.key(3), network, FEATURES, WIDTH)
    taps = np.random.default_rng(1).standard_normal((3, BATCH, WIDTH))
    h, normalized, _ = layers_of(params, X, network, taps)
    plain, _, _ = layers_of(params, X, network)
    np.testing.assert_allclose(h[0], plain[0] + taps[0], rtol=1e-13)
    for layer in (1, 2):
        before = network.activation.phi(normalized[layer - 1])
        expected = 1.2 * before @ params["hidden"]["w"][layer - 1] / WIDTH**0.5 + taps[layer]
        np.testing.assert_allclose(h[layer], expected, rtol=1e-12)


def second_moments(network, width, seeds):
    """Mean over networks of h h^T / width for the first two layers, and its standard error."""
    keys = jax.random.split(jax.random.key(4), seeds)
    h = jax.jit(jax.vmap(lambda key: hidden_layers(init(key, network, FEATURES, width), X, network)[0]))(keys)
    moments = np.einsum("slbn,slcn->slbc", h, h)[:, :2] / width
    return moments.mean(0), moments.std(0, ddof=1) / seeds**0.5


def test_pre_activations_have_the_second_moments_of_the_theory():
    # Exact in expectation at any width for the first two layers: the first one's neurons are independent Gaussians.
    network = make_network(2, "none", "relu", 1.5, 0.3)

    def theory(sigma_w):
        first = sigma_w**2 * X @ X.T / FEATURES + 0.09
        return np.stack([first, sigma_w**2 * relu_dual(first) + 0.09])

    mean, standard_error = second_moments(network, width=16, seeds=1000)
    # The largest of 2 x 15 deviations, not independent, at 4 standard errors: once in 500 for a correct program; the key is fixed.
    assert np.abs((mean - theory(1.5)) / standard_error).max() < 4
    assert np.abs((mean - theory(1.4)) / standard_error).max(axis=(1, 2)).min() > 4  # power, in either layer


def relu_dual(nngp):
    """E[relu(u) relu(v)] by Cho and Saul's formula."""
    length = np.sqrt(np.outer(np.diag(nngp), np.diag(nngp)))
    angle = np.arccos(np.clip(nngp / length, -1, 1))
    return length * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)


def test_weight_mean_is_centring_the_weights_of_every_dense_layer():
    centred = make_network(3, "weight_mean", "relu", 1.4, 0.2)
    plain = centred._replace(normalizer=normalizers.get("none"))
    params = init(jax.random.key(5), centred, FEATURES, WIDTH)
    explicit = {
        name: layer
        | {"w": jax.vmap(centre_weights)(layer["w"]) if layer["w"].ndim == 3 else centre_weights(layer["w"])}
        for name, layer in params.items()
    }
    for mine, theirs in zip(layers_of(params, X, centred), layers_of(explicit, X, plain), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-13)
    output = apply_function(centred)(params, X)
    np.testing.assert_allclose(output, apply_function(plain)(explicit, X), rtol=1e-11)
    assert not np.allclose(output, apply_function(plain)(params, X), rtol=1e-3)  # power: weights as they are


def test_equal_networks_share_one_function():
    assert apply_function(make_network(2, "batch_norm")) is apply_function(make_network(2, "batch_norm"))
    assert apply_function(make_network(2, "batch_norm")) is not apply_function(make_network(3, "batch_norm"))


def test_the_dtype_follows_the_parameters():
    layer = {"w": jnp.ones((FEATURES, WIDTH), jnp.float32), "b": jnp.ones(WIDTH, jnp.float32)}
    assert dense(layer, jnp.asarray(X, jnp.float32), WITH_BIAS).dtype == jnp.float32
