"""Shares of one parameter in the empirical NTK, from activations a and cotangents delta.

Index names: b, d the samples that are compared; c the outputs; l the layers of a stack; m, k the positions, which are the rows
of a; f the fan-in; n the fan-out.
"""

from __future__ import annotations

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


def coupled_share(site: Dense, a: Float[Array, "..."], batch: int, outputs: int) -> Share:
    """Share of a dense layer as a function of delta (b, *stack, m, n), the derivatives of one output of every sample.

    sum_{m, k} (delta[b, m] . delta[d, k]) (a[m] . a[k]), through a a^T or through the gradients a^T delta, by counted cost.
    """
    M, F, N = site.positions, site.fan_in, site.fan_out
    a = a.reshape(-1, M, F)
    by_gram = M * M * F + outputs * batch * N * M * (M + batch)
    by_gradient = outputs * batch * N * F * (M + batch)
    gram = jnp.einsum("lmf,lkf->lmk", a, a) if by_gram < by_gradient else None
    left = a if gram is None else gram

    def layer_share(delta: Array, a_or_gram: Array) -> Array:
        applied = jax.lax.map(lambda sample: a_or_gram.T @ sample, delta).reshape(batch, -1)
        return parameter_share(applied) if gram is None else applied @ delta.reshape(batch, -1).T

    def share(delta: Array) -> Array:
        layers = delta.reshape(batch, -1, M, N)
        if layers.shape[1] == 1:
            return layer_share(layers[:, 0], left[0])
        add = lambda total, layer: (total + layer_share(*layer), None)
        return jax.lax.scan(add, jnp.zeros((batch, batch), delta.dtype), (jnp.moveaxis(layers, 1, 0), left))[0]

    return share


def samplewise_share(site: Dense, a: Float[Array, "..."], batch: int, outputs: int) -> Share:
    """Share of a dense layer as a function of delta (c, *stack, m, n), where position m acts on its own sample alone."""
    M, F, N = site.positions, site.fan_in, site.fan_out
    a = a.reshape(-1, M, F)
    by_gram = M * M * (F + outputs * N)
    by_gradient = outputs * N * F * (M + batch * batch)
    gram = jnp.einsum("lmf,lkf->lmk", a, a) if by_gram < by_gradient else None

    def share(delta: Array) -> Array:
        delta = delta.reshape(delta.shape[0], -1, M, N)
        if gram is None:
            a_b, delta_b = a.reshape(-1, batch, M // batch, F), delta.reshape(*delta.shape[:2], batch, -1, N)
            return parameter_share(jnp.einsum("lbmf,clbmn->bclfn", a_b, delta_b))
        pairs = gram * jnp.einsum("clmn,clkn->lmk", delta, delta)
        return pairs.reshape(-1, batch, M // batch, batch, M // batch).sum((0, 2, 4))

    return share


def rowwise_share(site: Rowwise) -> Share:
    """Share of a bias or scale as a function of the derivatives (c, *stack, b, ...) in its operand, one row per sample."""
    first = 1 + len(site.stack)

    def share(delta: Array) -> Array:
        gradients = delta.sum(tuple(first + axis for axis in site.summed))
        return parameter_share(jnp.moveaxis(gradients, first, 0))

    return share
