"""The length map: the variance of the pre-activations through depth, where the normaliser acts on every input alone."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ntkcheck.activations import Activation
from ntkcheck.errors import unknown_name
from ntkcheck.meanfield.flow import flow_limit
from ntkcheck.network import Network, make_network
from ntkcheck.normalizers import Normalizer, batch_norm, layer_norm


class Length(NamedTuple):
    """Where depth takes the variance of the pre-activations.

    Attributes:
        q: The fixed point q*; 0 where lengths shrink and inf where they grow without end.
        growth: q' / q there: 1 at a fixed point, the factor per layer where there is none.
    """

    q: float
    growth: float


def length_fixed_point(
    activation: str | Activation,
    normalizer: str | Normalizer = "none",
    sigma_w: float = 1.0,
    sigma_b: float = 0.0,
    start: float = 1.0,
) -> Length:
    """The fixed point of q -> sigma_w^2 (E[phi^2] - E[phi]^2 [weight mean]) + sigma_b^2, u ~ N(0, q).

    Behind LayerNorm and BatchNorm u has variance 1 and q* is reached in one layer. Positively homogeneous activations
    without them have a linear length map: without bias lengths grow or shrink by `growth`, and where that is 1 (He's sigma_w)
    every length is a fixed point and `start` is returned.

    Source: Poole et al. 2016, section 3; MimicNorm (arXiv 2010.09278), section 3.1.

    Args:
        activation: A name that `activations.get` knows, or an `Activation`.
        normalizer: none, weight_mean, layer_norm or batch_norm.
        sigma_w: Weight standard deviation times sqrt(fan-in).
        sigma_b: Bias standard deviation.
        start: Variance of the first pre-activations. It matters where the map has several fixed points, as GELU's has for
            sigma_w^2 between 2 and 4.

    Returns:
        The `Length`, from float64. A q* above 1e8 counts as infinite and, without bias, one below 1e-8 as 0.

    Raises:
        ValueError: For another normaliser, an unknown name, or scales out of their range.

    Assumes:
        Infinite width; the length map increases.
    """
    network = inputwise_network(activation, normalizer, sigma_w, sigma_b)
    if not (math.isfinite(start) and start > 0):
        raise ValueError(f"`start` must be a finite variance above 0, got {start!r}; inputs are usually scaled to 1.")
    with jax.enable_x64(True):
        if network.normalizer.function in (layer_norm, batch_norm):
            return Length(_next_length(network, 1.0), 1.0)
        q = flow_limit(lambda q: _next_length(network, q) / q, start, least=sigma_b**2 or 1e-8)
        return Length(q, 1.0 if 0 < q < math.inf else sigma_w**2 * _gain(network, q))


def inputwise_network(
    activation: str | Activation, normalizer: str | Normalizer, sigma_w: float, sigma_b: float
) -> Network:
    """One layer whose normaliser acts on every input alone, or on the whole population; checked."""
    network = make_network(1, normalizer, activation, sigma_w, sigma_b)
    kind = network.normalizer
    if kind.name not in ("none", "weight_mean") and kind.function not in (layer_norm, batch_norm):
        remedy = "the others act on a batch: `profile` propagates it"
        raise unknown_name("normalizer", kind.name, ("none", "weight_mean", "layer_norm", "batch_norm"), remedy)
    return network


@functools.partial(jax.jit, static_argnames=("activation", "centred"))
def _variance(activation, centred, q):
    second_moment = activation.second_moment(q)
    return second_moment - activation.mean(q) ** 2 if centred else second_moment


def _activation_variance(network: Network, q: float) -> float:
    """E[phi^2], less E[phi]^2 under centred weights."""
    return float(_variance(network.activation, network.normalizer.centred_weights, jnp.asarray(q)))


def _next_length(network: Network, q: float) -> float:
    return network.sigma_w**2 * _activation_variance(network, q) + network.sigma_b**2


def _gain(network: Network, q: float) -> float:
    """(E[phi^2] less E[phi]^2 under centred weights) / q at q -> 0, or at 1e8 for q -> inf."""
    if q == 0 and network.activation.slope is None:
        return float(network.activation.derivative_second_moment(jnp.asarray(0.0)))
    return _activation_variance(network, 1e8) / 1e8
