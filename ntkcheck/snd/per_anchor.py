"""SND of single anchors: the same mates serve all anchors, and each anchor is normalised by a rank-one update."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck import normalizers
from ntkcheck.compilation import compiled
from ntkcheck.errors import unknown_name
from ntkcheck.normalizers import Normalizer
from ntkcheck.snd.anchored import deviations
from ntkcheck.snd.arguments import check_count, check_key, checked_population
from ntkcheck.snd.batches import draw_indices
from ntkcheck.snd.chebyshev import MOST_ITERATIONS
from ntkcheck.snd.rank_one import (
    Mates,
    batch_norm_outputs,
    iter_norm_outputs,
    mates_statistics,
    plan_iter_norm,
    plan_zca,
    zca_outputs,
)
from ntkcheck.snd.result import correction

OUTPUTS: dict[str, Callable[[Array, Mates, Any, int], Array]] = {
    "batch_norm": batch_norm_outputs,
    "zca": zca_outputs,
    "iter_norm": iter_norm_outputs,
}
# Outputs that are held at once, draws x anchors x features of a block of anchors: 32 MB in float64.
VALUES_AT_ONCE = 2**22


class AnchorDisturbance(NamedTuple):
    """Delta(x) of each of several anchors x.

    Attributes:
        value: Corrected for the number of draws.
        sem: Standard errors over draws. Anchors have the same mates: their errors are correlated.
        draws: Number of draws.
        broken: Number of outputs that were not finite; anchors that had one are NaN.
    """

    value: Float[np.ndarray, " anchors"]
    sem: Float[np.ndarray, " anchors"]
    draws: int
    broken: int


def per_anchor(
    normalizer: str | Normalizer,
    population: Float[np.ndarray, "samples features"] | Float[Array, "samples features"],
    anchors: Float[np.ndarray, "anchors features"] | Float[Array, "anchors features"],
    batch_size: int = 64,
    draws: int = 200,
    *,
    key: Array,
    group_size: int | None = None,
    iterations: int = 5,
    eps: float = 0.0,
) -> AnchorDisturbance:
    """Delta(x) = E_B |F(B; x) - E_B F(B; x)| for each x of `anchors`, over its m - 1 mates drawn from the population.

    Source: IterNorm (arXiv 1904.03441), definition of SND; `rank_one` for the updates.

    Args:
        normalizer: batch_norm, zca or iter_norm (or their `Normalizer`): the rules for rank-one updates that there are.
        population: Samples as rows, from which mates are drawn independently.
        anchors: Samples as rows, of the population or not.
        batch_size: m, the number of samples of a batch, the anchor included; for ZCA at least two more than a group.
        draws: s, the number of draws of m - 1 mates, at least 2.
        key: Of the draws.
        group_size: Features per group of the whitenings (16 unless given).
        iterations: Newton steps of IterNorm, at most 10.
        eps: Added to variances; 0 is the theory's case.

    Returns:
        Values and standard errors. Memory: the mates' statistics, draws x features x group size, and one block of outputs.

    Raises:
        ValueError: For what `disturbance` refuses, another normaliser, or anchors of another number of features.
    """
    kind = normalizers.get(normalizer, group_size, iterations, eps)
    if kind.name not in OUTPUTS:
        raise unknown_name("normalizer", kind.name, OUTPUTS, "use `disturbance` for the mean over anchors")
    check_key(key)
    check_count("draws", draws, 2, "a distance to a mean needs a second draw")
    if kind.iterations is not None and kind.iterations > MOST_ITERATIONS:
        raise ValueError(
            f"`iterations` must be at most {MOST_ITERATIONS} here, got {kind.iterations}; use `disturbance`."
        )
    x = checked_population(population, batch_size, kind)
    if kind.name == "zca" and batch_size < (kind.group_size or 1) + 2:
        raise ValueError(
            f"`batch_size` must exceed the group size by 2 at least, for mates of full rank, got {batch_size} for groups of "
            f"{kind.group_size}; use `disturbance` or a larger batch."
        )
    points = _checked_anchors(anchors, x)
    statistics = _statistics(jax.random.split(key, draws), x, kind=kind, batch_size=batch_size)
    plan = _plan(kind, statistics, points, batch_size)
    block = max(1, VALUES_AT_ONCE // (draws * x.shape[1]))
    parts = [
        _deviations(points[start : start + block], statistics, plan, name=kind.name, batch_size=batch_size)
        for start in range(0, len(points), block)
    ]
    mean, variance, _, broken = (np.concatenate([np.asarray(part[k]) for part in parts]) for k in range(4))
    factor = correction(np.full(len(points), float(draws)))
    return AnchorDisturbance(factor * mean, factor * np.sqrt(variance / (draws - 1)), draws, int(broken.sum()))


def _checked_anchors(anchors: np.ndarray | Array, x: Array) -> Array:
    points = jnp.asarray(anchors, x.dtype)
    if points.ndim != 2 or points.shape[1] != x.shape[1] or not len(points):
        raise ValueError(
            f"`anchors` must have the shape (anchors, {x.shape[1]}) of the population's samples, got {points.shape}."
        )
    if not bool(jnp.isfinite(points).all()):
        raise ValueError("`anchors` must be finite, got samples that are not; leave them out.")
    return points


@compiled("kind", "batch_size")
def _statistics(keys, x, *, kind, batch_size):
    keywords = getattr(kind.function, "keywords", {})

    def one(key):
        mates = x[draw_indices(key, len(x), batch_size - 1, True)]
        return mates_statistics(mates, kind.group_size, keywords.get("eps", 0.0))

    mean, covariance = jax.lax.map(one, keys)
    if kind.name != "zca":
        return Mates(mean, covariance, mean[:, :0], mean[:, :0])
    return Mates(mean, covariance, *jnp.linalg.eigh(covariance))


def _plan(kind: Normalizer, mates: Mates, points: Array, batch_size: int) -> Any:
    if kind.name == "batch_norm":
        return None
    furthest = _furthest(points, mates.mean)
    if kind.iterations is None:
        return plan_zca(mates, furthest, batch_size)
    return plan_iter_norm(mates, furthest, batch_size, kind.iterations)


def _offsets(points: Array, mean: Array) -> Array:
    """v = x - a as (groups, anchors, group)."""
    groups, group = mean.shape
    return jnp.swapaxes(points.reshape(-1, groups, group), 0, 1) - mean[:, None, :]


@compiled()
def _furthest(points: Array, means: Array) -> Array:
    """The largest |x - a|^2 of each group."""
    return jnp.max(
        jax.lax.map(lambda mean: jnp.max(jnp.sum(_offsets(points, mean) ** 2, axis=2), axis=1), means), axis=0
    )


@compiled("name", "batch_size")
def _deviations(points, statistics, plan, *, name, batch_size):
    def outputs(mates):
        y = OUTPUTS[name](_offsets(points, mates.mean), mates, plan, batch_size)
        return jnp.swapaxes(y, 0, 1).reshape(points.shape)

    y = ((batch_size - 1) / batch_size) ** 0.5 * jax.lax.map(outputs, statistics)
    return jax.vmap(deviations, in_axes=1)(y)
