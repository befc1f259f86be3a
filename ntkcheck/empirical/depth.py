"""What a random network of finite width does to samples, close pairs and gradients, layer by layer."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ntkcheck.empirical.network import hidden_layers, init
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


@functools.partial(jax.jit, static_argnames=("network", "width"))
def derivatives_through_depth(
    key: Key[Array, ""], x: Float[Array, "batches batch features"], network: Network, width: int
) -> Derivatives:
    """Draw a network and follow gradients and a close pair through its depth; the same network as `forward_through_depth`.

    The gradient is that of sum(z * h_depth) with z standard Gaussian: no readout, so every layer sees an isotropic
    cotangent from above. The close pair is the first sample of a batch and its copy in the place of the last; they move
    apart along a random direction of the first pre-activations, which leaves the statistics of the batch unchanged to first order.

    Args:
        key: Of the weights and directions.
        x: Mini-batches, each normalised by itself.
        network: The network.
        width: Neurons of every hidden layer.
    """
    params = init(key, network, x.shape[2], width)
    cotangent_key, tangent_key = jax.random.split(jax.random.fold_in(key, 1))
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


@functools.partial(jax.jit, static_argnames=("network", "width"))
def forward_through_depth(
    key: Key[Array, ""], x: Float[Array, "batches batch features"], network: Network, width: int
) -> Forward:
    """Draw a network and follow correlations and second moments; arguments as for `derivatives_through_depth`."""
    params = init(key, network, x.shape[2], width)

    def one_batch(x: Array) -> tuple[Array, Array]:
        h, normalized, _ = hidden_layers(params, x, network)
        return _cosine(*_pairs(normalized)), _mean_square(h)

    correlation, second_moment = jax.lax.map(one_batch, x)
    return Forward(jnp.moveaxis(correlation, 0, 1), second_moment.mean(0))


def _close_pair(params, x, network, tangent):
    """Squared distance of a sample and its copy over squared length, through depth, per unit of initial distance."""
    twins = x.at[-1].set(x[0])
    taps = jnp.zeros((network.depth, x.shape[0], tangent.shape[0]), x.dtype)
    apart = taps.at[0, 0].set(tangent).at[0, -1].set(-tangent)
    h, moved = jax.jvp(lambda taps: hidden_layers(params, twins, network, taps)[0], (taps,), (apart,))
    h, difference = h[:, 0], moved[:, 0] - moved[:, -1]
    length = jnp.sum(h**2, axis=1)
    across = difference - (jnp.sum(difference * h, axis=1) / length)[:, None] * h
    return jnp.sum(across**2, axis=1) / length


def _pairs(rows):
    """Samples 2i and 2i + 1 of a batch; the last of an odd number stays alone."""
    even = rows.shape[1] // 2 * 2
    return rows[:, 0:even:2], rows[:, 1:even:2]


def _cosine(a, b):
    return jnp.sum(a * b, -1) / jnp.sqrt(jnp.sum(a**2, -1) * jnp.sum(b**2, -1))


def _mean_square(a):
    return jnp.mean(a**2, axis=(1, 2))
