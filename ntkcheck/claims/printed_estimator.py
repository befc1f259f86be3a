"""The printed estimator of SND against SND itself, by the number of draws."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck.compilation import compiled
from ntkcheck.measurement import Measurement
from ntkcheck.snd.rank_one import Mates, batch_norm_outputs, mates_statistics
from ntkcheck.stats import Estimate


def estimator_ratios(
    key: Array, batch_size: int, features: int, anchors: int, draws: int, counts: Sequence[int]
) -> list[Measurement]:
    """The printed estimator of SND at s draws over SND, for BatchNorm on N(0, I), for each s of `counts`.

    SND is the mean distance to E_B F from `draws` other draws. Both are means over as many draws in blocks of max(counts): their
    ratio and its standard error over blocks (delta method). All anchors share the mates of a draw.

    Source: IterNorm (arXiv 1904.03441), the estimator of SND; claim IN-2.
    """
    block = max(counts)
    anchor_key, mean_key, key = jax.random.split(key, 3)
    x = jax.random.normal(anchor_key, (anchors, features))
    sizes = {"batch_size": batch_size, "block": block}
    mean = np.mean(_block_means(jax.random.split(mean_key, draws // block), x, **sizes), axis=0)
    found = _distances(jax.random.split(key, draws // block), x, jnp.asarray(mean), counts=tuple(counts), **sizes)
    snd, *printed = (np.asarray(part) for part in found)
    method = f"{len(snd)} blocks of {block} draws of {anchors} anchors"
    return [
        Measurement(f"ratio_{s}", _ratio_of_means(part, snd), method) for s, part in zip(counts, printed, strict=True)
    ]


def _ratio_of_means(numerator: Float[np.ndarray, " samples"], denominator: Float[np.ndarray, " samples"]) -> Estimate:
    """mean(a) / mean(b) of paired samples, with its standard error to first order."""
    ratio = numerator.mean() / denominator.mean()
    residual = (numerator - ratio * denominator) / denominator.mean()
    return Estimate(float(ratio), float(residual.std(ddof=1) / len(residual) ** 0.5), len(residual))


def _outputs(key, x, batch_size, block):
    """F(B; x) of a block of draws: (block, anchors, features)."""
    none = jnp.zeros(0)

    def output(key):
        mean, covariance = mates_statistics(jax.random.normal(key, (batch_size - 1, x.shape[1])), 1, 0.0)
        away = jnp.swapaxes(x[:, :, None], 0, 1) - mean[:, None, :]
        y = batch_norm_outputs(away, Mates(mean, covariance, none, none), None, batch_size)
        return ((batch_size - 1) / batch_size) ** 0.5 * y[:, :, 0].T

    return jax.vmap(output)(jax.random.split(key, block))


@compiled("batch_size", "block", optimization=1)
def _block_means(keys, x, *, batch_size, block):
    return jax.lax.map(lambda key: jnp.mean(_outputs(key, x, batch_size, block), axis=0), keys)


@compiled("batch_size", "block", "counts", optimization=1)
def _distances(keys, x, mean, *, batch_size, block, counts):
    """Of each block, the mean distance to `mean`, and to the mean of every s draws for each s of `counts`."""

    def of_block(key):
        y = _outputs(key, x, batch_size, block)
        groups = [y.reshape(-1, s, *y.shape[1:]) for s in counts]
        centred = [y - mean, *(group - jnp.mean(group, axis=1, keepdims=True) for group in groups)]
        return [jnp.mean(jnp.sqrt(jnp.sum(part**2, axis=-1))) for part in centred]

    return jax.lax.map(of_block, keys)
