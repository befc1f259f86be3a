"""The largest value that BatchNorm puts out in a batch, by batch size and population."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import integrate, stats

from ntkcheck import data
from ntkcheck.measurement import Measurement, Series
from ntkcheck.normalizers import batch_norm
from ntkcheck.stats import mean_estimate

QUANTILES = np.array([0.05, 0.5, 0.95])
RESAMPLED = 200  # times, for the errors of quantiles


def largest_value(
    key: Array, population: str, batch_size: int, features: int, batches: int, samples: int, seed: int
) -> list[Measurement]:
    """max |BN(x)| over the m d values of a batch: its mean and quantiles over batches of different samples of a population.

    No value exceeds sqrt(m - 1), which one sample far from all others reaches.

    Source: claim RB-1.

    Args:
        key: Of the batches.
        population: A name of `data.POPULATIONS`.
        batch_size: m.
        features: d.
        batches: How many.
        samples: Of the population, at most.
        seed: Of the population.
    """
    x = data.population(population, samples, features, seed).x
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    largest = np.array([largest_output(x[rng.choice(len(x), batch_size, replace=False)]) for _ in range(batches)])
    resampled = np.quantile(rng.choice(largest, (RESAMPLED, batches)), QUANTILES, axis=1)
    quantiles = Series(np.quantile(largest, QUANTILES), resampled.std(axis=1, ddof=1), batches, QUANTILES)
    method = f"{batches} batches from {len(x)} samples"
    return [
        Measurement("largest", mean_estimate(largest), method),
        Measurement("largest_over_bound", mean_estimate(largest / (batch_size - 1) ** 0.5), method),
        Measurement("largest_quantile", quantiles, f"{method}, error by the bootstrap"),
    ]


def largest_output(batch: Float[np.ndarray, "batch features"] | Float[Array, "batch features"]) -> float:
    """max |BN(x)| over all values of one batch."""
    return float(jnp.max(jnp.abs(batch_norm(jnp.asarray(batch)))))


def gaussian_largest(batch_size: int, features: int) -> float:
    """E max |BN(x)| for independent Gaussian features, as if the values of one feature were independent of each other as well.

    y = BN(x)_i has y^2 / (m - 1) ~ Beta(1/2, (m - 2)/2), and E max = int_0^sqrt(m - 1) (1 - P(|y| < t)^(m d)) dt. Values of one
    feature are correlated by -1 / (m - 1).

    Source: y is sqrt(m - 1) times a coordinate of a uniform direction in m - 1 dimensions.

    Args:
        batch_size: m, at least 3.
        features: d.
    """
    beta, bound = stats.beta(0.5, (batch_size - 2) / 2), (batch_size - 1) ** 0.5
    exceeds = functools.partial(_exceeds, beta=beta, bound=bound, values=batch_size * features)
    return integrate.quad(exceeds, 0, bound, epsabs=1e-10, limit=200)[0]


def _exceeds(t: float, beta, bound: float, values: int) -> float:
    """P(max > t), through logarithms: P(|y| < t) is 1 but for rounding where it matters."""
    return float(-np.expm1(values * np.log1p(-beta.sf((t / bound) ** 2)))) if t > 0 else 1.0
