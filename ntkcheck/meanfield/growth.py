"""Growth factors per layer, read off kernels propagated through depth; each an array (replicates, layers).

Layer l leads from the pre-activations of dense layer l to those of dense layer l + 1. Nothing is averaged here: the first layers
are transient (`batch_norm_fixed_point.attraction` says for how long), and the replicates' scatter is the sampling error.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ntkcheck.compilation import compiled
from ntkcheck.meanfield.field import Field, dense_step
from ntkcheck.meanfield.layer import Layer, layer
from ntkcheck.meanfield.propagate import REPLICATES, SAMPLES, Sampled, check_input, first_layer
from ntkcheck.network import Network

Growth = Float[np.ndarray, "replicates layers"]


def second_moment_growth(sampled: Sampled) -> Growth:
    """q_{l+1} / q_l, q the variance of the pre-activations, averaged over the batch.

    Args:
        sampled: From `profile`, with any tangents or none.
    """
    return _ratios(_length(sampled))


def gradient_growth(sampled: Sampled) -> Growth:
    """tr(T_{l+1}) / tr(T_l) of a tangent that starts isotropic: the growth of the squared gradient through layer l.

    By duality: with L_l the map of tangent covariances of layer l, the squared gradient goes backwards by the adjoints, and
    tr(L_k ... L_1 I) = tr(L_1* ... L_k* I). So the product over all layers is that of the squared gradients; the factor of a single
    layer is where the kernels are stationary.

    Source: Yang et al. 2019; claims MN-2, LT-1.

    Args:
        sampled: From `profile(x, network, np.eye(batch)[None])`: the first tangent after the NTK is I.

    Raises:
        ValueError: If the tangent is missing or does not start as I.
    """
    tangents = sampled.replicates.tangents
    batch = tangents.shape[-1]
    if tangents.shape[2] < 2 or not np.array_equal(tangents[0, 0, 1], np.eye(batch)):
        raise ValueError(
            f"`sampled` must carry the isotropic tangent after the NTK, got {tangents.shape[2] - 1} other tangents, the "
            f"first not I; call profile(x, network, np.eye({batch})[None])."
        )
    return _ratios(np.trace(tangents[:, :, 1], axis1=2, axis2=3))


def correlation_slope(
    x: Float[Array | np.ndarray, "batch features"],
    network: Network,
    *,
    key: Key[Array, ""] | None = None,
    samples: int = SAMPLES,
    replicates: int = REPLICATES,
) -> Growth:
    """chi_1 layer by layer: the growth of the squared distance of two close samples of one batch, relative to the length.

    The last sample is replaced by a copy of the first. With e = (1, 0, ..., 0, -1) / sqrt(2), the tangent covariance e e^T becomes
    T' in one layer and q, the mean variance of the pre-activations, q': the slope is e^T T' e q / q'. Where the normaliser acts on
    every input alone it is the slope of the correlation map at 1; with a batch's statistics, both samples share them.

    In chaos rounding errors separate the copy from its original within some tens of layers; here it is copied again after every
    layer, so that the slope is that of close samples at any depth.

    Source: Schoenholz et al. 2017, eq. 5 (chi_1); MimicNorm (arXiv 2010.09278), theorem 2; claim MN-2 (b).

    Args:
        x: One batch; its last sample is not used.
        network: The network.
        key: As in `profile`.
        samples: As in `profile`.
        replicates: As in `profile`.

    Raises:
        ValueError: As `profile`.

    Assumes:
        Infinite width; a normaliser that treats all samples of a batch alike, so that T' is a multiple of e e^T.
    """
    check_input(x, network)
    with jax.enable_x64(True):
        nngp = _copy_first(first_layer(x, network).nngp)
        hidden = layer(network.normalizer, network.activation, len(x), samples // replicates)
        keys = jax.random.split(jax.random.key(0) if key is None else key, replicates if hidden.sampled else 1)
        return np.stack([_slopes(key, nngp, network.sigma_w, network.sigma_b, network.depth, hidden) for key in keys])


@compiled("depth", "hidden", optimization=1)
def _slopes(key, nngp, sigma_w, sigma_b, depth: int, hidden: Layer) -> Float[Array, " layers"]:
    """The slope of every layer, from the covariance of the first pre-activations."""
    e = jnp.zeros(nngp.shape[0]).at[0].set(0.5**0.5).at[-1].set(-(0.5**0.5))

    def body(nngp, key):
        after, _ = hidden.step(key, Field(nngp, jnp.outer(e, e)[None]))
        following = dense_step(after, sigma_w, sigma_b, trained=0)
        slope = (e @ following.ntk[0] @ e) * jnp.trace(nngp) / jnp.trace(following.nngp)
        return _copy_first(following.nngp), slope

    return jax.lax.scan(body, nngp, jax.random.split(key, depth))[1]


def _copy_first(nngp: Float[Array, "batch batch"]) -> Float[Array, "batch batch"]:
    """The covariance of a batch whose last sample is replaced by the first."""
    index = jnp.arange(nngp.shape[0]).at[-1].set(0)
    return nngp[index][:, index]


def _length(sampled: Sampled) -> np.ndarray:
    return np.trace(sampled.replicates.nngp, axis1=2, axis2=3) / sampled.replicates.nngp.shape[-1]


def _ratios(values: np.ndarray) -> np.ndarray:
    return values[:, 1:] / values[:, :-1]
