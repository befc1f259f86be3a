"""The library's normalisers on the activations of convolutional networks, channels last.

Statistics of a batch are taken over samples and positions, as Ioffe & Szegedy 2015, section 3.2, do: an image of P positions is P
samples. LayerNorm and GroupNorm take theirs over the positions and channels of one sample (Wu & He 2018, section 3.1).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck import normalizers

Activations = Float[Array, "batch *positions channels"]
Function = Callable[[Activations], Activations]


def largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of `number` that is at most `limit`."""
    return next(d for d in range(min(number, limit), 0, -1) if number % d == 0)


def batch_norm(x: Activations, eps: float) -> Activations:
    """Standardise every channel over samples and positions."""
    return normalizers.batch_norm(_rows(x), eps).reshape(x.shape)


def iter_norm(x: Activations, group_size: int, iterations: int, eps: float) -> Activations:
    """Whiten groups of channels by Newton's iteration; a group has the largest number of channels that divides theirs.

    Args:
        x: Pre-activations.
        group_size: Channels per group, at most. The published code halves it until it divides; so 116 channels make groups of 4
            there, and of 58 here.
        iterations: Newton steps.
        eps: Added to the diagonal of the covariance.
    """
    group_size = largest_divisor(x.shape[-1], group_size)
    return normalizers.iter_norm(_rows(x), group_size, iterations, eps).reshape(x.shape)


def zca(x: Activations, group_size: int, eps: float) -> Activations:
    """Whiten groups of channels by the symmetric inverse root of their covariance; `group_size` as for `iter_norm`.

    One group after the other: batched eigendecompositions of two layers at a time, as of a residual block and its shortcut, have
    been seen to wait for each other for ever on XLA's CPU thread pool (jaxlib 0.10.2).
    """
    rows, size = _rows(x), largest_divisor(x.shape[-1], group_size)
    groups = jnp.moveaxis(rows.reshape(len(rows), -1, size), 1, 0)
    whitened = jax.lax.map(lambda group: normalizers.zca(group, size, eps), groups)
    return jnp.moveaxis(whitened, 0, 1).reshape(x.shape)


def layer_norm(x: Activations, eps: float) -> Activations:
    """Standardise every sample over its positions and channels."""
    return normalizers.layer_norm(x.reshape(x.shape[0], -1), eps).reshape(x.shape)


def group_norm(x: Activations, groups: int, eps: float) -> Activations:
    """Standardise every sample over its positions and a group of channels.

    Args:
        x: Pre-activations.
        groups: Number of groups, at most: the largest that divides the channels and leaves two or more to a group, so that a
            group of one position has a variance.
        eps: Added to the variance.
    """
    channels = x.shape[-1]
    groups = largest_divisor(channels, min(groups, channels // 2))
    grouped = x.reshape(x.shape[0], -1, groups, channels // groups)
    return jax.vmap(lambda group: layer_norm(group, eps), in_axes=2, out_axes=2)(grouped).reshape(x.shape)


def _rows(x: Activations) -> Float[Array, "rows channels"]:
    return x.reshape(-1, x.shape[-1])
