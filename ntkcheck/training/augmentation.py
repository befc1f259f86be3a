"""Random shifts and reflections of training images."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

SHIFT = 4  # pixels


def shifted_and_flipped(
    key: Key[Array, ""], x: Float[Array, "batch height width channels"]
) -> Float[Array, "batch height width channels"]:
    """Every image shifted by up to 4 pixels on both axes, zeros coming in, and mirrored left to right with probability 1/2.

    Source: He et al. 2016a (arXiv 1512.03385), section 4.2.

    Args:
        key: Of shifts and reflections.
        x: Images.
    """
    shift_key, flip_key = jax.random.split(key)
    padded = jnp.pad(x, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
    corners = jax.random.randint(shift_key, (len(x), 2), 0, 2 * SHIFT + 1)
    shifted = jax.vmap(lambda image, at: jax.lax.dynamic_slice(image, (at[0], at[1], 0), x.shape[1:]))(padded, corners)
    flips = jax.random.bernoulli(flip_key, 0.5, (len(x), 1, 1, 1))
    return jnp.where(flips, shifted[:, :, ::-1], shifted)
