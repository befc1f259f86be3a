"""Fluctuation of the NTK over random networks of finite width: R = log(E Theta^2 / (E Theta)^2) of a diagonal entry."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck.empirical.network import apply_function, init
from ntkcheck.empirical.ntk import empirical_ntk
from ntkcheck.measurement import Measurement, Series
from ntkcheck.network import make_network
from ntkcheck.stats import Estimate

RESAMPLES = 2000


def ntk_diagonals(
    key: Array, width: int, depth: int, activation: str, sigma_w: float, sigma_b: float, networks: int
) -> list[Measurement]:
    """NTK of one input of mean square 1, network by network, without normalisation.

    Source: Hanin & Nica 2020 (arXiv 1909.05989); claim LT-6.

    Args:
        key: Of the networks.
        width: Neurons of every hidden layer, and the input's features.
        depth: Hidden layers.
        activation: A name that `activations.get` knows.
        sigma_w: Weight standard deviation times sqrt(fan-in).
        sigma_b: Bias standard deviation.
        networks: Independent random networks.
    """
    network = make_network(depth, "none", activation, sigma_w, sigma_b)
    apply, x = apply_function(network), jnp.ones((1, width))

    @jax.jit
    def diagonals(keys: Array) -> Array:
        def diagonal(key: Array) -> Array:
            return empirical_ntk(apply, init(key, network, width, width), x, batch_coupled=False)[0, 0]

        return jax.lax.map(diagonal, keys)

    found = np.asarray(diagonals(jax.random.split(key, networks)), np.float64)
    series = Series(found, np.zeros(networks), networks, np.arange(networks))
    return [Measurement("ntk_diagonal", series, f"{networks} networks of width {width}")]


def fluctuation(samples: Float[np.ndarray, "*resamples networks"]) -> Float[np.ndarray, "*resamples"]:
    """R = log(E Theta^2 / (E Theta)^2), from means over networks."""
    return np.log(np.mean(samples**2, axis=-1) / np.mean(samples, axis=-1) ** 2)


def bootstrapped(
    rng: np.random.Generator,
    statistic: Callable[..., float],
    samples: Sequence[Float[np.ndarray, " networks"] | None],
) -> Estimate | None:
    """A function of several R, with its standard error over resampled networks; None where one was not measured."""
    present = [each for each in samples if each is not None]
    if len(present) < len(samples):
        return None
    resampled = [fluctuation(rng.choice(each, (RESAMPLES, len(each)))) for each in present]
    spread = np.std([statistic(*R) for R in zip(*resampled, strict=True)], ddof=1)
    return Estimate(float(statistic(*map(fluctuation, present))), float(spread), min(map(len, present)))
