"""What BatchNorm does to gradients and to close samples by the size of the mini-batch: the law, and random networks."""

import math

import jax
import numpy as np
from jaxtyping import Array

from ntkcheck import activations
from ntkcheck.empirical.depth import derivatives_through_depth
from ntkcheck.empirical.network import init
from ntkcheck.meanfield import batch_norm_fixed_point
from ntkcheck.measurement import Measurement, summarize
from ntkcheck.network import make_network
from ntkcheck.regime.theory import stationary
from ntkcheck.stats import Estimate


def batch_norm_growth(
    key: Array, activation: str, batch_size: int, width: float, depth: int, networks: int
) -> list[Measurement]:
    """The factors per layer of the squared gradient, and of the squared distance of two close samples over their length.

    In infinite width those at the fixed point; in random networks, on orthogonal inputs, whose kernel is symmetric
    from the start, the mean over layers but the first and the last fifth.

    Source: `batch_norm_fixed_point`; claims MN-2 (b) and LT-1.

    Args:
        key: Of inputs and networks.
        activation: One that is positively homogeneous.
        batch_size: B; at least 5 in infinite width, where chi_1 is infinite at 4.
        width: Neurons of a hidden layer, at least B; inf for the law.
        depth: Hidden layers; of no account in infinite width.
        networks: Random networks; of no account in infinite width.
    """
    if math.isinf(width):
        slope = float(activations.get(activation).slope or 0)
        laws = batch_norm_fixed_point.gradient_growth, batch_norm_fixed_point.correlation_slope
        estimates, method = [Estimate(law(batch_size, slope), 0.0, 0) for law in laws], "closed form; one quadrature"
    else:
        samples = [
            _network_growth(each, activation, batch_size, int(width), depth) for each in jax.random.split(key, networks)
        ]
        estimates, method = [summarize(each) for each in np.array(samples).T], f"{networks} networks, {depth} layers"
    names = "gradient growth", "chi_1"
    return [Measurement(name, estimate, method) for name, estimate in zip(names, estimates, strict=True)]


def _network_growth(key: Array, activation: str, batch_size: int, width: int, depth: int) -> tuple[float, float]:
    network = make_network(depth, "batch_norm", activation)
    keys = jax.random.split(key, 3)
    x = width**0.5 * jax.random.orthogonal(keys[0], width)[None, :batch_size]
    found = derivatives_through_depth(keys[1], init(keys[2], network, width, width), x, network)
    gradient, distance = np.asarray(found.gradient), np.asarray(found.distance)[:, 0]
    return float(stationary(gradient[:-1] / gradient[1:])), float(stationary(distance[1:] / distance[:-1]))
