"""The paper's design: every anchor has batches of its own."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck.compilation import compiled
from ntkcheck.normalizers import Normalizer
from ntkcheck.snd.batches import choose_anchors, draw_mates
from ntkcheck.snd.result import Deviations

# Values of batches that are held at once, per anchor: 32 MB in float64.
VALUES_AT_ONCE = 2**22


def anchored(
    key: Array,
    kind: Normalizer,
    x: Float[Array, "samples features"],
    batch_size: int,
    anchors: int,
    draws: int,
    replacement: bool,
) -> Deviations:
    """Distances of F(B_i; x) to their mean over i = 1..s, for `anchors` samples x with s batches each.

    Source: IterNorm (arXiv 1904.03441), definition of SND and its estimator; claim IN-2.

    Returns:
        What was found; anchors are independent, and the scatter over them holds that over draws too.
    """
    at_once = max(1, min(draws, VALUES_AT_ONCE // (batch_size * x.shape[1])))
    each = _distances(
        key, x, kind=kind, batch_size=batch_size, anchors=anchors, draws=draws, at_once=at_once, replacement=replacement
    )
    distance, scatter, square, broken = (np.asarray(part, np.float64) for part in each)
    return Deviations(
        distances=distance,
        scatter=scatter,
        draws=np.full(anchors, float(draws)),
        draw_variance=None,
        mate_variance=0.0,
        repeated=0.0,
        mean_square=float(square.mean()),
        samples=len(x),
        batches=anchors * draws,
        broken=int(broken.sum()),
    )


@compiled("kind", "batch_size", "anchors", "draws", "at_once", "replacement", optimization=1)
def _distances(key, x, *, kind, batch_size, anchors, draws, at_once, replacement):
    anchor_key, batch_key = jax.random.split(key)
    chosen = choose_anchors(anchor_key, len(x), anchors)

    def output(key, anchor):
        mates = draw_mates(key, anchor, len(x), batch_size - 1, replacement)
        return kind.function(x[jnp.concatenate([anchor[None], mates])])[0]

    def one(key_and_anchor):
        key, anchor = key_and_anchor
        keys = jax.random.split(key, draws)
        return deviations(jax.lax.map(lambda key: output(key, anchor), keys, batch_size=at_once))

    return jax.lax.map(one, (jax.random.split(batch_key, anchors), chosen))


def deviations(outputs: Float[Array, "draws features"]) -> tuple[Array, Array, Array, Array]:
    """Of one anchor's draws: mean and variance of the distance to their mean, mean square, and how many are not finite."""
    distance = jnp.sqrt(jnp.sum((outputs - jnp.mean(outputs, axis=0, keepdims=True)) ** 2, axis=1))
    broken = jnp.sum(~jnp.isfinite(outputs).all(axis=1))
    return jnp.mean(distance), jnp.var(distance), jnp.mean(outputs**2), broken
