"""Shared batches: every sample of a batch is an anchor, so that one normalised batch serves as many draws as it has samples."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck.compilation import compiled
from ntkcheck.normalizers import Normalizer
from ntkcheck.snd.batches import draw_indices
from ntkcheck.snd.result import Deviations

# Anchors at the least: the samples of a batch come from among them, and 1/n is what that changes SND by, relatively.
FEWEST_ANCHORS = 2000
VALUES_AT_ONCE = 2**20


def shared(
    key: Array,
    kind: Normalizer,
    x: Float[Array, "samples features"],
    batch_size: int,
    anchors: int,
    draws: int,
    replacement: bool,
) -> Deviations:
    """Distances of F(B; x_i) to their means, for all samples i of every batch B.

    Batches are independent. With replacement their samples come from n = max(anchors, 2000) samples of the population, all
    anchors; without, from the whole population. An anchor is in `draws` batches on average. Two passes over the same batches,
    drawn anew from the same keys: means first, then distances; memory is that of n samples and one chunk of batches.

    SND is that of the n samples' own law, 1/n from the population's, relatively. Only PCA where eigenvalues coincide is further
    from it: the n samples have gaps between theirs, which batches of the order of n see. Give it more anchors, or the anchored
    design.

    Two anchors of a batch have the same mates and are correlated. Given the anchors, the mean over a batch D_B of its distances is
    one of independent numbers, whose scatter gives the error of the mean. The anchors' own share of the error follows from
    Hoeffding's first projection m^2 Var_x E[D_B | x in B] / n, which holds that anchors are each other's mates; see
    `projection_variance`.

    Source: claim IN-2 for SND; Hoeffding 1948, A class of statistics with asymptotically normal distribution, for the error.
    """
    pool_key, batch_key = jax.random.split(key)
    samples = len(x) if not replacement else min(len(x), max(anchors, FEWEST_ANCHORS))
    pool = x[jax.random.permutation(pool_key, len(x))[:samples]]
    batches = max(2, -(-samples * draws // batch_size))
    steps = -(-batches // max(1, VALUES_AT_ONCE // (batch_size * x.shape[1])))
    at_once = -(-batches // steps)
    measure = functools.partial(_sums, kind=kind, batch_size=batch_size, at_once=at_once, replacement=replacement)
    keys = jax.random.split(batch_key, steps)
    means, _ = measure(
        keys, pool, jnp.zeros_like(pool)
    )  # the same program twice: compiling it takes longer than a pass
    seen, of_batches = measure(keys, pool, means.output / jnp.maximum(means.draws, 1)[:, None])
    count = np.asarray(seen.draws, np.float64)
    of_batches = np.asarray(of_batches, np.float64).ravel()
    each = np.maximum(count, 1)
    distances, squares, mates = (
        np.asarray(part, np.float64) / each for part in (seen.distance, seen.square, seen.mates)
    )
    return Deviations(
        distances=distances,
        scatter=np.maximum(squares - distances**2, 0),
        draws=count,
        draw_variance=float(of_batches.var(ddof=1)) / of_batches.size,
        mate_variance=projection_variance(mates[count > 0], count[count > 0], of_batches, batch_size, replacement),
        repeated=(batch_size - 1) / (steps * at_once * batch_size - 1) if replacement else 0.0,
        mean_square=float(seen.output_square) / (count.sum() * x.shape[1]),
        samples=len(x),
        batches=steps * at_once,
        broken=int(seen.broken),
    )


def projection_variance(
    given: Float[np.ndarray, " anchors"],
    draws: Float[np.ndarray, " anchors"],
    of_batches: Float[np.ndarray, " batches"],
    batch_size: int,
    replacement: bool,
) -> float:
    """m^2 Var_x E[D_B | x in B] / n, where it is more than two standard errors of its noise above 0; that much less, else 0.

    The noise: given D_B of all b batches, an anchor's s of them are a random subset of b values, or with replacement, where a batch
    may hold it several times, of b m values, each D_B m times. Its mean varies by S^2 (1/s - 1/b), S^2 the variance of the b
    values, or in the place of both that of the b m values and their number.
    Where batches are large against their number the noise hides the projection; the error of the draws is the larger one there.

    Source: Cochran 1977, Sampling Techniques, theorem 2.2, for the noise.

    Args:
        given: For each anchor, the mean of D_B over the batches that it was in.
        draws: The number of these batches, at least 1: an anchor that was in none has no such mean.
        of_batches: D_B of every batch.
        batch_size: m.
        replacement: Whether the samples of a batch were drawn independently.
    """
    anchors, values = len(given), of_batches.size * (batch_size if replacement else 1)
    noise = float(of_batches.var()) * values / (values - 1) * (float(np.mean(1 / draws)) - 1 / values)
    excess = float(given.var(ddof=1)) - noise
    return batch_size**2 / anchors * max(0.0, excess - 2 * noise * (2 / anchors) ** 0.5)


class _Sums(NamedTuple):
    """Sums over batches, of each anchor: outputs, draws, distances, their squares, and their means over the batch; and of all."""

    output: Array
    draws: Array
    distance: Array
    square: Array
    mates: Array
    output_square: Array
    broken: Array


@compiled("kind", "batch_size", "at_once", "replacement", optimization=1)
def _sums(keys, pool, mean, *, kind, batch_size, at_once, replacement):
    """The sums, with distances to `mean`, and D_B of every batch."""

    def add(sums, key):
        batch_keys = jax.random.split(key, at_once)
        chosen = jax.vmap(lambda key: draw_indices(key, len(pool), batch_size, replacement))(batch_keys)
        y = jax.vmap(kind.function)(pool[chosen])
        distance = jnp.sqrt(jnp.sum((y - mean[chosen]) ** 2, axis=2))
        of_batch = jnp.mean(distance, axis=1, keepdims=True)
        sums = _Sums(
            sums.output.at[chosen].add(y),
            sums.draws.at[chosen].add(1),
            sums.distance.at[chosen].add(distance),
            sums.square.at[chosen].add(distance**2),
            sums.mates.at[chosen].add(jnp.broadcast_to(of_batch, distance.shape)),
            sums.output_square + jnp.sum(y**2),
            sums.broken + jnp.sum(~jnp.isfinite(y).all(axis=2)),
        )
        return sums, of_batch[:, 0]

    zeros, zero, none = jnp.zeros_like(pool[:, 0]), jnp.zeros((), pool.dtype), jnp.zeros((), int)
    start = _Sums(jnp.zeros_like(pool), jnp.zeros(len(pool), int), zeros, zeros, zeros, zero, none)
    return jax.lax.scan(add, start, keys)
