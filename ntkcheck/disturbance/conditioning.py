"""How well conditioned a normaliser leaves its output: the spectrum of its covariance over samples of many batches."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck import kernels
from ntkcheck.compilation import compiled
from ntkcheck.disturbance.normalizer import Kind
from ntkcheck.normalizers import SequenceNormalizer
from ntkcheck.stats import Estimate

BLOCKS = 8  # of batches; their scatter gives the errors
LEAST_SAMPLES = 8192  # normalised in all


class Conditioning(NamedTuple):
    """The spectrum of the normalised output.

    Attributes:
        condition_number: Largest over smallest eigenvalue of E F F^T; infinite where directions are lost, NaN after a breakdown.
        stable_rank: Trace over the largest eigenvalue.
        rms: Root mean square of the output.
        samples: Number of normalised samples behind them.
    """

    condition_number: Estimate
    stable_rank: Estimate
    rms: Estimate
    samples: int


def conditioning(
    key: Array, kind: Kind, population: Float[np.ndarray, "samples features"], batch_size: int, replacement: bool
) -> Conditioning:
    """Spectrum of E F F^T over samples and batches, with standard errors by the jackknife over blocks of batches.

    n independent samples of N(0, I) have themselves a condition number of about ((1 + r) / (1 - r))^2, r^2 = d / n: what is given
    here is that of the samples as they are.

    Args:
        key: Of the batches.
        kind: The normaliser.
        population: Samples as rows.
        batch_size: m.
        replacement: Whether the samples of a batch are drawn independently.
    """
    per_block = -(-LEAST_SAMPLES // (BLOCKS * batch_size))
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    count = len(population)
    drawn = [
        rng.integers(0, count, batch_size) if replacement else rng.choice(count, batch_size, replace=False)
        for _ in range(BLOCKS * per_block)
    ]
    batches = jnp.asarray(population[np.array(drawn).reshape(BLOCKS, per_block, batch_size)])
    if isinstance(kind, SequenceNormalizer):
        blocks = _sequence_moments(batches, jnp.asarray(population), kind=kind)
    else:
        blocks = _moments(batches, kind=kind)
    moments = np.asarray(blocks, np.float64)
    statistics = {
        "condition_number": kernels.condition_number,
        "stable_rank": lambda kernel: 1 / kernels.largest_share(kernel),
        "rms": lambda kernel: np.sqrt(np.trace(kernel, axis1=-2, axis2=-1) / kernel.shape[-1]),
    }
    samples = BLOCKS * per_block * batch_size
    return Conditioning(**{name: _jackknife(moments, each) for name, each in statistics.items()}, samples=samples)


def _jackknife(blocks: Float[np.ndarray, "blocks features features"], statistic) -> Estimate:
    """A statistic of the mean over blocks, and its standard error from leaving out one block at a time."""
    count = len(blocks)
    mean = blocks.mean(0)
    without = statistic((count * mean - blocks) / (count - 1))
    value = float(statistic(mean))
    if not (np.isfinite(value) and np.isfinite(without).all()):
        return Estimate(value, float("nan"), count)
    return Estimate(value, float(np.sqrt((count - 1) * without.var())), count)


@compiled("kind", optimization=1)
def _moments(batches, *, kind):
    """E F F^T of every block of batches."""
    return jax.lax.map(lambda block: _second_moment(jax.lax.map(kind.function, block)), batches)


@compiled("kind", optimization=1)
def _sequence_moments(batches, population, *, kind):
    """The same for a normaliser that sees one batch after the other, after the population's own statistics."""
    blocks, per_block, _, features = batches.shape
    _, outputs = jax.lax.scan(
        lambda state, x: kind.step(state, x)[::-1], kind.start(population), batches.reshape(-1, *batches.shape[2:])
    )
    return jax.vmap(_second_moment)(outputs.reshape(blocks, per_block, -1, features))


def _second_moment(outputs):
    y = outputs.reshape(-1, outputs.shape[-1])
    return y.T @ y / len(y)
