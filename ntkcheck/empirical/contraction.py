"""Shares of one parameter in the empirical NTK, from activations a and derivatives delta in y = a W.

Index names: b the samples; c the outputs; l the layers of a stack; m, k the positions, which are the rows of a; f the fan-in; n
the fan-out.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.empirical.sites import Dense, Rowwise

Share = Callable[[Array], Array]


def gram_saves(site: Dense, batch: int, outputs: int) -> bool:
    """Whether a a^T costs fewer operations than the weight's gradients do, for all outputs of a coupled network."""
    M, F, N = site.positions, site.fan_in, site.fan_out
    by_gram = M * M * F + outputs * batch * N * M * (M + batch)
    return by_gram < outputs * batch * N * F * (M + batch)


class Contraction(NamedTuple):
    """What is kept of a parameter's derivatives, and how two sets of rows of it become an entry of the kernel.

    Attributes:
        axis: The rows' axis in what is kept.
        keep: From the derivatives that a pullback gives for some rows.
        share: Products of rows with rows.
    """

    axis: int
    keep: Callable[[Array], Array]
    share: Callable[[Array, Array], Float[Array, "rows others"]]


def gradient_contraction() -> Contraction:
    """Of a parameter whose gradients are at hand, rows first."""
    return Contraction(0, lambda gradients: gradients, _row_products)


def coupled_contraction(site: Dense, a: Float[Array, "*stack m f"], batch: int, outputs: int) -> Contraction:
    """Of a dense layer, from delta (*stack, b, m, n), the derivatives of one output of some samples, by counted cost.

    sum_{m, k} (delta[b, m] . delta[b', k]) (a[m] . a[k]), or the products of the gradients sum_m a[m] delta[b, m]^T.
    """
    a = a.reshape(-1, site.positions, site.fan_in)
    if not gram_saves(site, batch, outputs):
        return Contraction(0, lambda delta: jnp.einsum("lmf,lbmn->blfn", a, _layers(site, delta)), _row_products)
    gram = jnp.einsum("lmf,lkf->lmk", a, a)

    def share(delta: Float[Array, "l r m n"], others: Float[Array, "l s m n"]) -> Float[Array, "r s"]:
        def add_layer(total: Array, layer: tuple[Array, Array, Array]) -> tuple[Array, None]:
            gram_l, delta_l, others_l = layer
            return total + _row_products(delta_l, gram_l @ others_l), None

        zero = jnp.zeros((delta.shape[1], others.shape[1]), jnp.result_type(a, delta))
        return jax.lax.scan(add_layer, zero, (gram, delta, others))[0]

    return Contraction(1, lambda delta: _layers(site, delta), share)


def _layers(site: Dense, delta: Float[Array, "*stack b m n"]) -> Float[Array, "l b m n"]:
    return delta.reshape(-1, delta.shape[len(site.stack)], site.positions, site.fan_out)


def _row_products(rows: Float[Array, "r ..."], others: Float[Array, "s ..."]) -> Float[Array, "r s"]:
    return rows.reshape(rows.shape[0], -1) @ others.reshape(others.shape[0], -1).T


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
        gradients = jnp.einsum("lbmf,lcbmn->blcfn", a.reshape(-1, batch, M // batch, F), samples)
        return _row_products(gradients, gradients)

    return share_by_pairs if by_pairs < by_gradients else share_by_gradients


def rowwise_share(site: Rowwise) -> Share:
    """Share of a bias or scale as a function of the derivatives (*stack, c, b, ...) in its operand, one row per sample."""
    first = len(site.stack) + 1

    def share(delta: Array) -> Float[Array, "b b"]:
        gradients = delta.sum(tuple(first + axis for axis in site.summed))
        rows = jnp.moveaxis(gradients, first, 0)
        return _row_products(rows, rows)

    return share
