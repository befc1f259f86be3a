"""MimicNorm's Lemma 1 by simulation: what centring the weights leaves of a layer's second moment, at any fan-in and fan-out."""

import jax
import numpy as np
from jaxtyping import Array, Float

from ntkcheck import activations
from ntkcheck.measurement import Measurement
from ntkcheck.stats import mean_estimate

AT_ONCE = 2**21  # weights drawn at a time


def centred_moment(key: Array, fan_in: int, fan_out: int, rho: float, draws: int) -> list[Measurement]:
    """The quantity "factor": E_W[Phibar(rho)] / (Phi(rho) - Phi(0)), ReLU, weights of variance 1 / fan-in.

    Phibar averages over the fan-out the product of the outputs of two inputs of correlation rho, their coordinates independent,
    under weights that are centred over the fan-in. Source: MimicNorm (arXiv 2010.09278), Lemma 1 (which prints
    (fan-out - 1) / fan-out) and eq. 10 of its supplement (which gives (fan-in - 1) / fan-in); claim MN-3.

    Args:
        key: Of inputs and weights.
        fan_in: n_i, at least 2.
        fan_out: n_o.
        rho: Correlation of the two pre-activations that feed the layer.
        draws: Independent layers and inputs.
    """
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    most = max(1, AT_ONCE // (fan_in * fan_out))
    sizes = [min(most, draws - start) for start in range(0, draws, most)]
    moments = np.concatenate([_moments(rng, size, fan_in, fan_out, rho) for size in sizes])
    relu = activations.get("relu")
    uncentred = float(relu.dual(*np.array([1.0, 1.0, rho])) - relu.dual(*np.array([1.0, 1.0, 0.0])))
    return [Measurement("factor", mean_estimate(moments / uncentred), f"{draws} independent layers and input pairs")]


def _moments(
    rng: np.random.Generator, draws: int, fan_in: int, fan_out: int, rho: float
) -> Float[np.ndarray, " draws"]:
    first, noise = rng.standard_normal((2, draws, fan_in))
    inputs = np.maximum(np.stack([first, rho * first + (1 - rho**2) ** 0.5 * noise], axis=2), 0)
    weights = rng.standard_normal((draws, fan_out, fan_in)) / fan_in**0.5
    outputs = (weights - weights.mean(2, keepdims=True)) @ inputs
    return outputs.prod(2).mean(1)
