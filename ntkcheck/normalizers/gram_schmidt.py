"""Orthonormal columns by Gram-Schmidt."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def gram_schmidt(columns: Float[Array, "*batch rows columns"]) -> Float[Array, "*batch rows columns"]:
    """Columns made orthonormal one after the other: Q of columns = Q R, the diagonal of R positive.

    Each finished column is taken out of all later ones (modified Gram-Schmidt: orthogonal to the condition number times rounding).
    Not LAPACK's QR or Cholesky factorisation: jaxlib's batched ones wait for workers of the thread pool that they run on
    themselves, and two at the same time have been seen to wait for ever (jaxlib 0.10.2, CPU).
    """

    def step(k, columns):
        column = jax.lax.dynamic_index_in_dim(columns, k, axis=-1, keepdims=True)
        column = column / jnp.sqrt(jnp.sum(column**2, axis=-2, keepdims=True))
        along = jnp.sum(columns * column, axis=-2, keepdims=True)
        is_later = jnp.arange(columns.shape[-1]) > k
        return jax.lax.dynamic_update_index_in_dim(
            jnp.where(is_later, columns - along * column, columns), column, k, axis=-1
        )

    return jax.lax.fori_loop(0, columns.shape[-1], step, columns)
