"""What a random network of finite width does to samples, close pairs and gradients, layer by layer."""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ntkcheck.compilation import compiled
from ntkcheck.empirical.network import Params, hidden_layers
from ntkcheck.network import Network


class Derivatives(NamedTuple):
    """One random network, some mini-batches, every hidden layer.

    Attributes:
        gradient: (depth,): mean squared derivative, with respect to the dense layers' pre-activations, of a random linear
            function of the last ones.
        distance: (depth, batches): squared distance, over squared length, of two infinitely close copies of a sample.
    """

    gradient: Float[Array, " depth"]
    distance: Float[Array, "depth batches"]


@compiled("network", optimization=1)  # compiled once, run a few times: a third off compiling, nothing off running
def derivatives_through_depth(
    key: Key[Array, ""], params: Params, x: Float[Array, "batches batch features"], network: Network
) -> Derivatives:
    """Follow gradients and a close pair through the depth of a network.

    The gradient is that of sum(z * h_depth) with z standard Gaussian: no readout, so every layer sees an isotropic
    cotangent from above. The close pair is the first sample of a batch and its copy in the place of the last; they move
    apart along a random direction of the first pre-activations, which leaves the statistics of the batch unchanged to first order.

    Args:
        key: Of the cotangents and of the direction.
        params: The weights, from `init`.
        x: Mini-batches, each normalised by itself.
        network: The network.
    """
    width = params["first"]["w"].shape[1]
    cotangent_key, tangent_key = jax.random.split(key)
    cotangents = jax.random.normal(cotangent_key, (*x.shape[:2], width), x.dtype)
    tangents = jax.random.normal(tangent_key, (x.shape[0], width), x.dtype)
    no_taps = jnp.zeros((network.depth, x.shape[1], width), x.dtype)

    def one_batch(x: Array, cotangent: Array, tangent: Array) -> tuple[Array, Array]:
        h, pullback = jax.vjp(lambda taps: hidden_layers(params, x, network, taps)[0], no_taps)
        (gradient,) = pullback(jnp.zeros_like(h).at[-1].set(cotangent))
        return _mean_square(gradient), _close_pair(params, x, network, tangent)

    gradient, distance = jax.lax.map(lambda batch: one_batch(*batch), (x, cotangents, tangents))
    return Derivatives(gradient.mean(0), distance.T)


class Forward(NamedTuple):
    """One random network, some mini-batches, every hidden layer.

    Attributes:
        correlation: (depth, batches, pairs): cosine of samples 2i and 2i + 1 of each batch after the normaliser.
        second_moment: (depth,): mean square of the dense layers' pre-activations.
    """

    correlation: Float[Array, "depth batches pairs"]
    second_moment: Float[Array, " depth"]


@compiled("network", optimization=1)  # compiled once, run a few times: a third off compiling, nothing off running
def forward_through_depth(params: Params, x: Float[Array, "batches batch features"], network: Network) -> Forward:
    """Follow correlations and second moments through the depth of a network; arguments as for `derivatives_through_depth`."""

    def one_batch(x: Array) -> tuple[Array, Array]:
        h, normalized, _ = hidden_layers(params, x, network)
        return _cosine(*_pairs(normalized)), _mean_square(h)

    correlation, second_moment = jax.lax.map(one_batch, x)
    return Forward(jnp.moveaxis(correlation, 0, 1), second_moment.mean(0))


def _close_pair(params, x, network, tangent):
    """Squared distance of a sample and its copy over squared length, through depth, per unit of initial distance."""
    twins, normalizer = x.at[-1].set(x[0]), network.normalizer
    joined = network._replace(normalizer=replace(normalizer, function=lambda h: normalizer.function(_rejoin(h))))
    taps = jnp.zeros((network.depth, x.shape[0], tangent.shape[0]), x.dtype)
    apart = taps.at[0, 0].set(tangent).at[0, -1].set(-tangent)
    h, moved = jax.jvp(lambda taps: hidden_layers(params, twins, joined, taps)[0], (taps,), (apart,))
    h, difference = h[:, 0], moved[:, 0] - moved[:, -1]
    length = jnp.sum(h**2, axis=1)
    across = difference - (jnp.sum(difference * h, axis=1) / length)[:, None] * h
    return jnp.sum(across**2, axis=1) / length


def _rejoin(h):
    """The last row set to the first, its derivative kept: in chaos rounding errors would separate the copy from its original."""
    return h.at[-1].add(jax.lax.stop_gradient(h[0] - h[-1]))


def _pairs(rows):
    """Samples 2i and 2i + 1 of a batch; the last of an odd number stays alone."""
    even = rows.shape[1] // 2 * 2
    return rows[:, 0:even:2], rows[:, 1:even:2]


def _cosine(a, b):
    return jnp.sum(a * b, -1) / jnp.sqrt(jnp.sum(a**2, -1) * jnp.sum(b**2, -1))


def _mean_square(a):
    return jnp.mean(a**2, axis=(1, 2))
