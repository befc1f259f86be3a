"""Batch normalisation with the statistics of the batch at hand."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def batch_norm(x: Float[Array, "batch features"], eps: float = 0.0) -> Float[Array, "batch features"]:
    """Standardise every feature over the batch: (x - mean) / sqrt(var + eps).

    The variance is the biased one (divided by the batch size), as in the paper; there is no affine part.

    Source: Ioffe & Szegedy 2015, algorithm 1.

    Args:
        x: Pre-activations, any scale.
        eps: Added to the variance; 0 is the theory's case, in which the result does not depend on the scale of `x`.

    Returns:
        Values of mean 0 and, at `eps` = 0, variance 1 over the batch. A feature that is constant over the batch
        has no direction left: at `eps` = 0 it gives NaN, or normalised rounding errors where its mean is not exact.
    """
    centred = x - jnp.mean(x, axis=0, keepdims=True)
    return centred * lax.rsqrt(jnp.mean(centred**2, axis=0, keepdims=True) + eps)
