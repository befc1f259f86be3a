"""A population as one batch: the spectrum of a normaliser's output where the batch's statistics are the population's."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ntkcheck import data, kernels
from ntkcheck.disturbance.normalizer import make
from ntkcheck.measurement import Measurement
from ntkcheck.normalizers import Normalizer
from ntkcheck.stats import Estimate


def whole_conditioning(
    _: Array,
    population: str,
    normalizer: str,
    features: int,
    group_size: int | None,
    iterations: int | None,
    samples: int,
    seed: int,
) -> list[Measurement]:
    """Condition number and stable rank of E F F^T over all samples, normalised as one batch; without sampling noise.

    Args:
        population: A name of `data.POPULATIONS`.
        normalizer: A name of `disturbance.normalizer.NAMES` that sees one batch alone.
        features: d.
        group_size: g, None where there are no groups.
        iterations: Newton steps, None where there are none.
        samples: Of the population, at most.
        seed: Of the population.

    Raises:
        ValueError: For a normaliser that remembers earlier batches.
    """
    x = data.population(population, samples, features, seed).x
    kind = make(normalizer, len(x), features, group_size, iterations)
    if not isinstance(kind, Normalizer):
        raise ValueError(f"`normalizer` must see one batch alone, got {normalizer!r}; try 'batch_norm'.")
    y = np.asarray(kind.function(jnp.asarray(x)))
    moment = y.T @ y / len(y)
    method = f"{len(x)} samples as one batch"
    return [
        Measurement("condition_number", Estimate(float(kernels.condition_number(moment)), 0.0, 0), method),
        Measurement("stable_rank", Estimate(1 / float(kernels.largest_share(moment)), 0.0, 0), method),
    ]
