"""Splitting features into groups for whitening."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def check_group_size(group_size: int) -> None:
    """Raise ValueError unless `group_size`, the number of features per group, is a positive int."""
    if isinstance(group_size, bool) or not isinstance(group_size, int) or group_size < 1:
        raise ValueError(
            f"`group_size` must be a positive whole number of features per group, got {group_size!r}; try 16."
        )


def check_groups(features: int, group_size: int) -> None:
    """Raise ValueError unless groups of `group_size` features (never the number of groups) divide `features`."""
    check_group_size(group_size)
    if features % group_size:
        divisors = [g for g in range(1, features + 1) if features % g == 0]
        nearest = sorted(sorted(divisors, key=lambda g: abs(g - group_size))[:2])
        remedy = " or ".join(map(str, nearest))
        raise ValueError(
            f"`group_size` must divide the number of features, got {group_size} for {features} features; try {remedy}."
        )


def check_full_rank(batch: int, group_size: int, name: str) -> None:
    """Raise ValueError unless a batch can have an invertible covariance over `group_size` features."""
    if batch <= group_size:
        raise ValueError(
            f"`{name}` needs more samples than features in a group (the centred batch has rank at most batch - 1), "
            f"got a batch of {batch} for groups of {group_size}; try `group_size` below {batch} or a larger batch."
        )


def over_groups(
    whiten: Callable[[Float[Array, "batch group"]], Float[Array, "batch group"]],
    x: Float[Array, "batch features"],
    group_size: int,
) -> Float[Array, "batch features"]:
    """Apply `whiten` to every group of `group_size` neighbouring features of the centred batch."""
    batch, features = x.shape
    centred = x - jnp.mean(x, axis=0, keepdims=True)
    grouped = centred.reshape(batch, features // group_size, group_size)
    return jax.vmap(whiten, in_axes=1, out_axes=1)(grouped).reshape(batch, features)


def covariance(centred: Float[Array, "batch group"], eps: float) -> Float[Array, "group group"]:
    """Biased covariance of a centred batch plus `eps` on the diagonal."""
    batch, group = centred.shape
    return centred.T @ centred / batch + eps * jnp.eye(group, dtype=centred.dtype)
