"""Group normalisation: the statistics are those of one sample over a group of its features."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.normalizers.groups import check_groups
from ntkcheck.normalizers.layer_norm import layer_norm


def group_norm(
    x: Float[Array, "batch features"], group_size: int = 16, eps: float = 0.0
) -> Float[Array, "batch features"]:
    """Standardise every group of a sample's features: (x - mean) / sqrt(var + eps), without an affine part.

    LayerNorm is the case of one group. No sample sees another: SND is 0.

    Source: Wu & He 2018, Group Normalization, eq. 1 to 4 and 7 (which counts groups; here features per group are given).

    Args:
        x: Pre-activations, any scale.
        group_size: Features per group, at least 2; must divide `features`.
        eps: Added to the variance; 0 is the theory's case.

    Returns:
        Values of mean 0 and, at `eps` = 0, variance 1 over each group of each sample.

    Raises:
        ValueError: If the groups do not divide the features or hold one feature.
    """
    check_groups(x.shape[1], group_size)
    if group_size < 2:
        raise ValueError(
            f"`group_size` must be at least 2 for `group_norm`, got {group_size}: one feature has no spread."
        )
    return jnp.reshape(layer_norm(x.reshape(-1, group_size), eps), x.shape)
