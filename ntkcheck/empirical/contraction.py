"""Shares of one parameter in the empirical NTK, from activations a and derivatives delta in y = a W.

Index names: b the samples; c the outputs; l the layers of a stack; m, k the positions, which are the rows of a; f the fan-in; n
the fan-out.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.empirical.sites import Dense, Rowwise

Share = Callable[[Array], Array]


def parameter_share(gradients: Float[Array, "batch ..."]) -> Float[Array, "batch batch"]:
    """Share of a parameter whose gradients are at hand, one per sample."""
    flat = gradients.reshape(gradients.shape[0], -1)
    return flat @ flat.T


def gram_saves(site: Dense, batch: int, outputs: int) -> bool:
    """Whether a a^T costs fewer operations than the weight's gradients do, for all outputs of a coupled network."""
    M, F, N = site.positions, site.fan_in, site.fan_out
    by_gram = M * M * F + outputs * batch * N * M * (M + batch)
    return by_gram < outputs * batch * N * F * (M + batch)


def coupled_share(site: Dense, a: Float[Array, "*stack m f"], batch: int) -> Share:
    """Share of a dense layer as a function of delta (*stack, b, m, n), the derivatives of one output of every sample.

    sum_{m, k} (delta[b, m] . delta[b', k]) (a[m] . a[k])
    """
    a = a.reshape(-1, site.positions, site.fan_in)
    gram = jnp.einsum("lmf,lkf->lmk", a, a)

    def add_layer(total: Array, layer: tuple[Array, Array]) -> tuple[Array, None]:
        gram_l, delta_l = layer
        product = gram_l @ delta_l
        return total + product.reshape(batch, -1) @ delta_l.reshape(batch, -1).T, None

    def share(delta: Float[Array, "*stack b m n"]) -> Float[Array, "b b"]:
        layers = gram, delta.reshape(-1, batch, site.positions, site.fan_out)
        zero = jnp.zeros((batch, batch), jnp.result_type(a, delta))
        return jax.lax.scan(add_layer, zero, layers)[0]

    return share


def samplewise_share(site: Dense, a: Float[Array, "*stack m f"], batch: int, outputs: int) -> Share:
    """Share of a dense layer as a function of delta (*stack, c, m, n), where position m acts on its own sample alone.

    sum_{c, m in b, k in b'} (delta[c, m] . delta[c, k]) (a[m] . a[k]), from products of positions or from gradients, by cost.
    """
    M, F, N = site.positions, site.fan_in, site.fan_out
    a = a.reshape(-1, M, F)
    by_pairs = M * M * (F + outputs * N)
    by_gradients = outputs * N * F * (M + batch * batch)

    def share_by_pairs(delta: Float[Array, "*stack c m n"]) -> Float[Array, "b b"]:
        delta = delta.reshape(a.shape[0], -1, M, N)
        pairs = jnp.einsum("lmf,lkf->lmk", a, a) * jnp.einsum("lcmn,lckn->lmk", delta, delta)
        return pairs.reshape(-1, batch, M // batch, batch, M // batch).sum((0, 2, 4))

    def share_by_gradients(delta: Float[Array, "*stack c m n"]) -> Float[Array, "b b"]:
        samples = delta.reshape(a.shape[0], -1, batch, M // batch, N)
        return parameter_share(jnp.einsum("lbmf,lcbmn->blcfn", a.reshape(-1, batch, M // batch, F), samples))

    return share_by_pairs if by_pairs < by_gradients else share_by_gradients


def rowwise_share(site: Rowwise) -> Share:
    """Share of a bias or scale as a function of the derivatives (*stack, c, b, ...) in its operand, one row per sample."""
    first = len(site.stack) + 1

    def share(delta: Array) -> Float[Array, "b b"]:
        gradients = delta.sum(tuple(first + axis for axis in site.summed))
        return parameter_share(jnp.moveaxis(gradients, first, 0))

    return share
