"""Layer normalisation: the statistics are those of one sample over its features."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def layer_norm(x: Float[Array, "batch features"], eps: float = 0.0) -> Float[Array, "batch features"]:
    """Standardise every sample over its features: (x - mean) / sqrt(var + eps), without an affine part.

    Source: Ba, Kiros & Hinton 2016, eq. 3.

    Args:
        x: Pre-activations, any scale.
        eps: Added to the variance; 0 is the theory's case.

    Returns:
        Values of mean 0 and, at `eps` = 0, variance 1 over the features of each sample.
    """
    centred = x - jnp.mean(x, axis=1, keepdims=True)
    return centred * lax.rsqrt(jnp.mean(centred**2, axis=1, keepdims=True) + eps)
