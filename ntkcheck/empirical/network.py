"""Random networks of finite width, in the parametrisation of the theory."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ntkcheck.network import Network

Params = dict[str, dict[str, Array]]


def init(key: Key[Array, ""], network: Network, features: int, width: int) -> Params:
    """Standard Gaussian weights and biases, the hidden layers after the first stacked: depth costs no compilation.

    Args:
        key: Of all weights.
        network: Depth and scales; biases are left out where `sigma_b` is 0.
        features: Number of input features.
        width: Neurons of every hidden layer.

    Returns:
        {"first": (features, width), "hidden": (depth - 1, width, width), "readout": (width, 1)} under "w", biases under "b".
    """
    shapes = {"first": (features, width), "hidden": (network.depth - 1, width, width), "readout": (width, 1)}

    def layer(key: Array, shape: tuple[int, ...]) -> dict[str, Array]:
        weight_key, bias_key = jax.random.split(key)
        weights = {"w": jax.random.normal(weight_key, shape)}
        if network.sigma_b:
            weights["b"] = jax.random.normal(bias_key, shape[:-2] + shape[-1:])
        return weights

    keys = jax.random.split(key, len(shapes))
    return {name: layer(key, shape) for key, (name, shape) in zip(keys, shapes.items(), strict=True)}


def dense(layer: dict[str, Array], a: Float[Array, "batch fan_in"], network: Network) -> Float[Array, "batch fan_out"]:
    """sigma_w a W / sqrt(fan-in) + sigma_b b; centred weights are applied as centred inputs, a (W - mean W) = (a - mean a) W."""
    if network.normalizer.centred_weights:
        a = a - jnp.mean(a, axis=1, keepdims=True)
    y = network.sigma_w / a.shape[1] ** 0.5 * a @ layer["w"]
    return y + network.sigma_b * layer["b"] if "b" in layer else y


def hidden_layers(
    params: Params,
    x: Float[Array, "batch features"],
    network: Network,
    taps: Float[Array, "depth batch width"] | float = 0,
) -> tuple[Float[Array, "depth batch width"], Float[Array, "depth batch width"], Float[Array, "batch width"]]:
    """Pre-activations and normalised pre-activations of every hidden layer, and the last layer's activations.

    Args:
        params: See `init`.
        x: One batch.
        network: The network.
        taps: Added to the pre-activations, for derivatives with respect to them.
    """
    normalize, phi = network.normalizer.function, network.activation.phi
    width = params["first"]["w"].shape[1]
    taps = jnp.broadcast_to(jnp.asarray(taps, x.dtype), (network.depth, x.shape[0], width))

    def body(h: Array, layer: tuple[dict[str, Array], Array]) -> tuple[Array, Any]:
        weights, tap = layer
        normalized = normalize(h)
        return dense(weights, phi(normalized), network) + tap, (h, normalized)

    first = dense(params["first"], x, network) + taps[0]
    last, (h, normalized) = jax.lax.scan(body, first, (params["hidden"], taps[1:]))
    normalized_last = normalize(last)
    stack = jnp.concatenate([h, last[None]]), jnp.concatenate([normalized, normalized_last[None]])
    return *stack, phi(normalized_last)


@functools.cache
def apply_function(network: Network) -> Callable[[Params, Float[Array, "batch features"]], Float[Array, "batch 1"]]:
    """apply(params, x) of a network; the same function for the same network, so that compilations are shared."""

    def apply(params: Params, x: Array) -> Array:
        return dense(params["readout"], hidden_layers(params, x, network)[2], network)

    return apply
