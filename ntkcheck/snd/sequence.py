"""SND of normalisers that remember earlier batches: over sequences of batches, of which the last contains the sample."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck import normalizers
from ntkcheck.compilation import compiled
from ntkcheck.normalizers import SequenceNormalizer
from ntkcheck.snd.arguments import check_count, check_key, checked_population
from ntkcheck.snd.batches import choose_anchors, draw_indices
from ntkcheck.snd.result import Deviations, Disturbance, summarize


def sequence_disturbance(
    normalizer: SequenceNormalizer,
    population: Float[np.ndarray, "samples features"] | Float[Array, "samples features"],
    batch_size: int = 64,
    anchors: int = 200,
    draws: int = 200,
    *,
    key: Array,
    warm_up: int | None = None,
) -> Disturbance:
    """E_x E |F(B_1, .., B_k; x) - E F(B_1, .., B_k; x)| over sequences of batches, x in B_k.

    Every sequence serves all anchors, each of which is put into the last batch with the same m - 1 mates. The error has the
    scatter over anchors and that of the sequences' means D_j, which are independent. Two passes over the same sequences: memory is
    that of the anchors' outputs, whatever the number of draws.

    Source: IterNorm (arXiv 1904.03441), definition of SND, with B a sequence.

    Args:
        normalizer: A `SequenceNormalizer`, of `moving_batch_norm`, `mabn`, `memorized_batch_norm`, `power_norm` or the user's.
        population: Samples as rows, drawn with replacement; every feature must vary.
        batch_size: m, at least 2.
        anchors: Number of samples x, at least 2.
        draws: s, the number of sequences, at least 2.
        key: Of the draws.
        warm_up: k - 1, the number of batches before the last; what it takes to forget the start unless given. The start are the
            population's own statistics.

    Raises:
        ValueError: For a population, batch size or number that will not do.
    """
    check_key(key)
    check_count("anchors", anchors, 2, "a standard error is over anchors")
    check_count("draws", draws, 2, "a distance to a mean needs a second draw")
    x = checked_population(population, batch_size, normalizers.get("batch_norm"))
    warm_up = normalizer.memory if warm_up is None else warm_up
    check_count("warm_up", warm_up, 0, "it counts the batches before the last")
    anchor_key, draw_key = jax.random.split(key)
    points = x[choose_anchors(anchor_key, len(x), anchors)]
    keys = jax.random.split(draw_key, draws)
    (total, *_), _ = _sums(keys, x, points, jnp.zeros_like(points), normalizer, batch_size=batch_size, warm_up=warm_up)
    found, of_draws = _sums(keys, x, points, total / draws, normalizer, batch_size=batch_size, warm_up=warm_up)
    _, first, second, square, broken = (np.asarray(part, np.float64) for part in found)
    distances = first / draws
    deviations = Deviations(
        distances=distances,
        scatter=np.maximum(second / draws - distances**2, 0),
        draws=np.full(anchors, float(draws)),
        draw_variance=float(np.var(np.asarray(of_draws, np.float64), ddof=1)) / draws,
        mate_variance=0.0,
        repeated=0.0,
        mean_square=float(square) / (draws * points.size),
        samples=len(x),
        batches=draws * (warm_up + anchors),
        broken=int(broken),
    )
    return summarize(deviations, "sequences", True, 1.0)


@compiled("normalizer", "batch_size", "warm_up", optimization=1)
def _sums(keys, x, points, mean, normalizer, *, batch_size, warm_up):
    """Sums over draws, of each anchor, of outputs, distances and their squares; of squared outputs and those not finite; D_j."""
    start = normalizer.start(x)

    def outputs(key):
        batch_keys = jax.random.split(key, warm_up + 1)

        def see(state, key):
            return normalizer.step(state, x[draw_indices(key, len(x), batch_size, True)])[1], None

        state = jax.lax.scan(see, start, batch_keys[1:])[0]
        mates = x[draw_indices(batch_keys[0], len(x), batch_size - 1, True)]
        return jax.vmap(lambda point: normalizer.step(state, jnp.concatenate([point[None], mates]))[0][0])(points)

    def add(sums, key):
        total, first, second, square, broken = sums
        y = outputs(key)
        distance = jnp.sqrt(jnp.sum((y - mean) ** 2, axis=1))
        lost = jnp.sum(~jnp.isfinite(y).all(axis=1))
        sums = total + y, first + distance, second + distance**2, square + jnp.sum(y**2), broken + lost
        return sums, jnp.mean(distance)

    zeros = jnp.zeros_like(points[:, 0])
    start_sums = jnp.zeros_like(points), zeros, zeros, jnp.zeros((), x.dtype), jnp.zeros((), int)
    return jax.lax.scan(add, start_sums, keys)
