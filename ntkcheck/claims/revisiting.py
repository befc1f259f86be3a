"""The checks of the claims of Revisiting Batch Normalization: one small function each, from evidence to estimates."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ntkcheck import normalizers
from ntkcheck.claims import full_size
from ntkcheck.claims.cells import over_sets, random_layer, values
from ntkcheck.claims.evidence import Answers, Evidence, exact
from ntkcheck.claims.largest_value import largest_output
from ntkcheck.empirical.depth import derivatives_through_depth
from ntkcheck.empirical.network import init
from ntkcheck.measurement import Measurement, Series
from ntkcheck.network import make_network
from ntkcheck.normalizers.scaled_batch_norm import scaled_batch_norm
from ntkcheck.regime.theory import stationary
from ntkcheck.stats import Estimate, mean_estimate

FEATURES = 64
BATCH = 128
FAR = 1e6  # standard deviations between one sample and all others


def rb_1(evidence: Evidence, batches: int = 200) -> Answers:
    """The largest value that BatchNorm puts out, against its bound and against three standard deviations."""
    rng = evidence.generator("RB-1")
    over = [_over_bound(x) for m in 2 ** np.arange(1, 11) for x in _populations(rng, m)]
    outlier = _populations(rng, BATCH)[-1]
    largest = {m: np.array([*map(largest_output, rng.standard_normal((batches, m, FEATURES)))]) for m in (8, BATCH)}
    return {
        "over_bound": exact(max(over)),
        "outlier_over_bound": exact(_over_bound(outlier)),
        "largest_gaussian": mean_estimate(largest[BATCH]),
        "largest_images": _largest_on_images(evidence, batches),
        "largest_gaussian_m_8": mean_estimate(largest[8]),
        **full_size.largest_values(evidence),
    }


def _populations(rng, m):
    """A batch each: Gaussian, Student's t with 3 degrees of freedom, and Gaussian but for one sample far from the others."""
    outlier = rng.standard_normal((m, FEATURES))
    outlier[0] += FAR
    return rng.standard_normal((m, FEATURES)), rng.standard_t(3, (m, FEATURES)), outlier


def _over_bound(x) -> float:
    return largest_output(x) / (len(x) - 1) ** 0.5


def _largest_on_images(evidence: Evidence, batches: int) -> Estimate | None:
    """Mini-batches of the run's images, each through a random layer of its own; None where there are too few images."""
    x = evidence.batches.reshape(-1, evidence.batches.shape[2])
    if len(x) < BATCH:
        return None
    rng, keys = evidence.generator("RB-1/images"), jax.random.split(evidence.key("RB-1"), batches)
    chosen = (rng.choice(len(x), BATCH, replace=False) for _ in keys)
    layers = (random_layer(key, x[rows], FEATURES) for key, rows in zip(keys, chosen, strict=True))
    return mean_estimate(np.array([*map(largest_output, layers)]))


def rb_3(evidence: Evidence, networks: int = 5, width: int = 300, depth: int = 12) -> Answers:
    """What gamma does to the gradient through one BatchNorm, and through many."""
    rng = evidence.generator("RB-3")
    x, cotangent = jnp.asarray(rng.standard_normal((2, 64, 16)))
    reference = _gradient(x, cotangent)
    seed = evidence.experiment.settings.seed
    growth = [
        values(
            evidence.obtain(backward_growth, gamma=gamma, width=width, depth=depth, networks=networks, seed=seed),
            "backward_growth",
        )
        for gamma in (0.1, 1.0)
    ]
    return {
        "gamma_scaling": exact(
            max(_difference(_gradient(x, cotangent, gamma) / gamma, reference) for gamma in (0.1, 0.5, 2.0))
        ),
        "sigma_scaling": exact(
            max(_difference(_gradient(scale * x, cotangent) * scale, reference) for scale in (0.1, 10.0))
        ),
        "depth_ratio": over_sets(np.divide, *growth),
    }


def backward_growth(_: Array, gamma: float, width: int, depth: int, networks: int, seed: int) -> list[Measurement]:
    """Growth per layer of the squared gradient, backwards, in random ReLU networks with gamma times BatchNorm in every layer.

    Without the first and the last fifth of the layers, as everywhere in the ledger: the inputs of the first layer are not scaled by
    gamma, so that its own step keeps gamma^2. The derived key is not used: the same networks are drawn for every gamma.

    Args:
        gamma: The scale, the same in all layers.
        width: Neurons of every hidden layer.
        depth: Hidden layers.
        networks: Independent random networks, each with a Gaussian batch of 32 inputs of its own.
        seed: Of everything random.
    """
    normalizer = replace(normalizers.get("batch_norm"), function=functools.partial(scaled_batch_norm, scale=gamma))
    network = make_network(depth, normalizer, "relu", 2**0.5)

    def growth(key: Array) -> Array:
        x_key, key, params_key = jax.random.split(key, 3)
        x = jax.random.normal(x_key, (1, 32, FEATURES))
        gradient = derivatives_through_depth(key, init(params_key, network, FEATURES, width), x, network).gradient
        return gradient[:-1] / gradient[1:]

    found = stationary(np.array([growth(key) for key in jax.random.split(jax.random.key(seed), networks)]))
    series = Series(found, np.zeros(networks), networks, np.arange(networks))
    return [Measurement("backward_growth", series, f"{networks} networks of width {width}")]


def _gradient(x, cotangent, gamma: float = 1.0):
    return jax.vjp(lambda x: scaled_batch_norm(x, gamma), x)[1](cotangent)[0]


def _difference(found, reference) -> float:
    """Relative, in the Frobenius norm."""
    return float(jnp.linalg.norm(found - reference) / jnp.linalg.norm(reference))
