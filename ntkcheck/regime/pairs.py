"""Correlations of pairs of inputs through depth: their distribution over the pairs, in infinite width and in random networks."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck import kernels, meanfield
from ntkcheck.empirical.depth import forward_through_depth
from ntkcheck.empirical.network import init
from ntkcheck.meanfield.correlation_map import correlation_map, fixed_point
from ntkcheck.measurement import Measurement, series
from ntkcheck.network import Network
from ntkcheck.regime.settings import Experiment, Settings, prepare
from ntkcheck.regime.theory import SETTLED, estimate, share_near_zero

PERCENTILES = (0, 2.5, 25, 50, 75, 97.5, 100)


def pair_correlations(
    key: Array, normalizer: str, width: float, depth: int, pairs: int, batch_size: int, networks: int
) -> list[Measurement]:
    """Percentiles, standard deviation and share within +-0.2 of the correlations of pairs of digits, layer by layer.

    ReLU networks at He's variance without bias; the correlation is that of the normaliser's outputs. Every quantity is one of the
    distribution over pairs in one network, averaged over networks.

    Source: MimicNorm (arXiv 2010.09278), supplement, Figs. 1 and 2; claims MN-1 and MN-5.

    Args:
        key: Of the networks.
        normalizer: A name.
        width: Neurons of a hidden layer; inf for the theory.
        depth: Hidden layers.
        pairs: Pairs of digits, disjoint.
        batch_size: Samples that are normalised together.
        networks: Random networks; of no account where the width is infinite.
    """
    found, method = _correlations(key, normalizer, width, depth, pairs, batch_size, networks)
    at = np.arange(1, depth + 1)
    by_network = {
        **{f"percentile {p:g}": np.percentile(found, p, axis=2) for p in PERCENTILES},
        "standard deviation": found.std(2),
        "share within 0.2": np.stack([share_near_zero(found[:, [layer]]) for layer in range(depth)], axis=1),
    }
    return [Measurement(quantity, series(values, at), method) for quantity, values in by_network.items()]


def settled_spread(
    key: Array, normalizer: str, width: float, depth: int, pairs: int, batch_size: int, networks: int
) -> list[Measurement]:
    """The standard deviation of the correlations over pairs, and their share within +-0.2, averaged over depths beyond 20.

    Everything else as in `pair_correlations`.
    """
    found, method = _correlations(key, normalizer, width, depth, pairs, batch_size, networks)
    settled = found[:, SETTLED:]
    by_network = {"standard deviation": settled.std(2).mean(1), "share within 0.2": share_near_zero(settled)}
    return [Measurement(quantity, estimate(values), method) for quantity, values in by_network.items()]


def spread_constant() -> float:
    """The a of the spread a / sqrt(n) that correlations keep in ReLU networks of width n with weight mean, deep down.

    At the fixed point 0 the correlation r of a layer's centred activations obeys r' = chi r + e / sqrt(n), with chi the map's slope
    and e of variance 1, because the activations of the two inputs are independent there. So n Var r = 1 / (1 - chi^2). That of
    the pre-activations has the noise of one more random layer, of variance 1 / n: a^2 = 1 + 1 / (1 - chi^2).

    Source: derived above; claim MN-5.

    Assumes:
        Width and depth are large, the depth far below the width.
    """
    chi = fixed_point(correlation_map("relu", "weight_mean", 2**0.5)).slope
    return math.sqrt(1 + 1 / ((1 - chi) * (1 + chi)))


def _correlations(
    key: Array, normalizer: str, width: float, depth: int, pairs: int, batch_size: int, networks: int
) -> tuple[Float[np.ndarray, "networks layers pairs"], str]:
    settings = Settings(normalizers=(normalizer,), depth=depth, pairs=pairs, batch_size=batch_size)
    experiment = prepare(settings)
    if math.isinf(width):
        return _infinite(experiment), f"theory, {pairs} pairs"
    return _finite(key, experiment, int(width), networks), f"{networks} networks, {pairs} pairs"


def _infinite(experiment: Experiment) -> Float[np.ndarray, "1 layers pairs"]:
    profiles = [meanfield.profile(batch, _network(experiment)) for batch in experiment.batches]
    by_batch = [kernels.pair_correlations(np.asarray(found.replicates.normalized)) for found in profiles]
    return np.concatenate(by_batch, axis=2)[:, :, : experiment.settings.pairs]


def _finite(
    key: Array, experiment: Experiment, width: int, networks: int
) -> Float[np.ndarray, "networks layers pairs"]:
    network, batches = _network(experiment), jnp.asarray(experiment.batches)
    found = []
    for each in jax.random.split(key, networks):
        params = init(each, network, batches.shape[2], width)
        correlation = np.asarray(forward_through_depth(params, batches, network).correlation)
        found.append(correlation.reshape(network.depth, -1)[:, : experiment.settings.pairs])
    return np.stack(found)


def _network(experiment: Experiment) -> Network:
    (network,) = experiment.networks.values()
    return network
