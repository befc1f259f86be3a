"""One layer in closed form, where the normaliser acts on every input alone: none, weight mean, LayerNorm."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.activations import Activation
from ntkcheck.meanfield.field import Field


def activation_step(field: Field, activation: Activation, centred: bool = False) -> Field:
    """NNGP and NTK after an activation: K' = E[phi(u) phi(v)], Theta' = Theta o E[phi'(u) phi'(v)].

    With `centred` the next layer's weights are centred (weight mean), which takes the mean over neurons out of its inputs:
    K' = E[phi(u) phi(v)] - E[phi(u)] E[phi(v)]; Theta' is as without it, because the square of the tangent's mean over
    neurons is O(1/width).

    Source: Jacot, Gabriel & Hongler 2018, theorem 1; MimicNorm (arXiv 2010.09278), lemma 1; claim MN-4.

    Assumes:
        Infinite width.
    """
    q = jnp.diagonal(field.nngp)
    dual, dual_derivative = activation.duals(q[:, None], q[None, :], field.nngp)
    nngp = _with_diagonal(dual, activation.second_moment(q))
    ntk = field.ntk * _with_diagonal(dual_derivative, activation.derivative_second_moment(q))
    if centred:
        mean = activation.mean(q)
        nngp = nngp - mean[:, None] * mean[None, :]
    return Field(nngp, ntk)


def correlation(nngp: Float[Array, "*layers batch batch"]) -> Float[Array, "*layers batch batch"]:
    """K_ij / sqrt(K_ii K_jj)."""
    scale = jnp.sqrt(jnp.diagonal(nngp, axis1=-2, axis2=-1))
    return nngp / (scale[..., :, None] * scale[..., None, :])


def layer_norm_step(field: Field) -> Field:
    """NNGP and NTK after LayerNorm (eps = 0) on pre-activations.

    Over infinitely many neurons a sample's mean is 0 and its variance K_ii: K' is the correlation, and Theta' is Theta divided by
    the same scales, because the derivative of the scales is an average over neurons that tends to 0.

    Assumes:
        Infinite width; pre-activations, whose mean over neurons is 0 unless biases are shared.
    """
    scale = jnp.sqrt(jnp.diagonal(field.nngp))
    return Field(correlation(field.nngp), field.ntk / (scale[:, None] * scale[None, :]))


def _with_diagonal(matrix, diagonal):
    return jnp.where(jnp.eye(diagonal.shape[0], dtype=bool), diagonal, matrix)
