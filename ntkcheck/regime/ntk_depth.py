"""The NTK of a batch of digits by depth, entry by entry and by its spectrum, in infinite width and in random networks."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck import data, meanfield
from ntkcheck.empirical.network import apply_function, init
from ntkcheck.empirical.ntk import empirical_ntk
from ntkcheck.measurement import Measurement, series
from ntkcheck.network import Network, make_network

HE = 2**0.5


def ntk_of_digits(
    key: Array, normalizer: str, depth: int, width: float, batch_size: int, networks: int
) -> list[Measurement]:
    """The NTK over its mean diagonal: entries (upper triangle, row by row) and eigenvalues (in descending order).

    ReLU networks at He's variance without bias, on digits sorted by class.

    Args:
        key: Of the networks.
        normalizer: none, weight_mean or batch_norm.
        depth: Hidden layers.
        width: Neurons of a hidden layer; inf for the theory.
        batch_size: Number of digits, the first of each class in turn; they are normalised together.
        networks: Random networks; of no account where the width is infinite.
    """
    network, x = make_network(depth, normalizer, "relu", HE), _digits(batch_size)
    if math.isinf(width):
        kernels, method = np.asarray(meanfield.propagate(x, depth, normalizer, "relu", HE).ntk)[None], "theory"
    else:
        kernels = np.stack([_empirical(each, network, x, int(width)) for each in jax.random.split(key, networks)])
        method = f"{networks} networks"
    kernels = kernels * batch_size / np.trace(kernels, axis1=1, axis2=2)[:, None, None]
    entries = kernels[:, *np.triu_indices(batch_size)]
    eigenvalues = np.linalg.eigvalsh(kernels)[:, ::-1]
    return [
        Measurement("entry", series(entries, np.arange(entries.shape[1])), method),
        Measurement("eigenvalue", series(eigenvalues, np.arange(1, batch_size + 1)), method),
    ]


def _digits(count: int) -> Float[np.ndarray, "count features"]:
    """The first digits of each class in turn, sorted by class."""
    x, labels = data.standardize(data.digits().x), data.digit_labels()
    nth = np.array([np.count_nonzero(labels[:i] == label) for i, label in enumerate(labels)])
    chosen = np.lexsort((labels, nth))[:count]
    return x[chosen[np.argsort(labels[chosen], kind="stable")]]


def _empirical(key: Array, network: Network, x: np.ndarray, width: int) -> Float[np.ndarray, "batch batch"]:
    params = init(key, network, x.shape[1], width)
    coupled = network.normalizer.name == "batch_norm"
    return np.asarray(empirical_ntk(apply_function(network), params, jnp.asarray(x), batch_coupled=coupled))
