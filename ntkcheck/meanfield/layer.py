"""One hidden layer of infinite width, [normaliser, activation], by the best method there is for the pair."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.activations import Activation
from ntkcheck.meanfield import tangent
from ntkcheck.meanfield.batch_norm import batch_norm_nngp, batch_norm_step
from ntkcheck.meanfield.field import Field
from ntkcheck.meanfield.pointwise import activation_step, correlation, layer_norm_step
from ntkcheck.normalizers import Normalizer, batch_norm, layer_norm

Kernel = Float[Array, "batch batch"]

# A function that couples all features of a sample is sampled on this many neurons; its infinite-width limit is approached as 1/64.
COUPLED_FEATURES = 64


@dataclass(frozen=True)
class Layer:
    """What a hidden layer does to the kernels; hashable, so that it can be a static argument of a compiled loop.

    Attributes:
        step: (key, field) -> the field of the activations, and each draw's share of the first tangent (none where nothing is
            drawn; the key is None there). The field's `ntk` is a stack of tangent covariances, (tangents, batch, batch); the
            step is linear in each.
        normalized: (key, nngp) -> NNGP of what the activation gets.
        sampled: Whether `step` draws samples; closed forms and quadrature ignore the key.
    """

    step: Callable[[Any, Field], tuple[Field, Array]]
    normalized: Callable[[Any, Kernel], Kernel]
    sampled: bool = False


def layer(normalizer: Normalizer, activation: Activation, batch: int, samples: int) -> Layer:
    """The layer [normaliser, activation] by closed form, by quadrature, or by tangent Monte Carlo.

    Closed form: no normaliser, weight mean and LayerNorm (eps = 0). Quadrature: BatchNorm (eps = 0) before a positively
    homogeneous activation. Everything else, a user's function included, is sampled.

    Args:
        normalizer: What precedes the activation.
        activation: The activation.
        batch: Batch size.
        samples: Neurons drawn per layer where sampling is needed.
    """
    if normalizer.name in ("none", "weight_mean"):
        return _unnormalized(activation, normalizer.centred_weights)
    if normalizer.function is layer_norm:
        return _layer_normalized(activation)
    if normalizer.function is batch_norm and activation.slope is not None:
        return _batch_normalized(activation.slope)
    return _sampled(normalizer, activation, batch, samples)


@functools.cache
def _unnormalized(activation, centred):
    return Layer(_exact(lambda field: activation_step(field, activation, centred)), lambda _, nngp: nngp)


@functools.cache
def _layer_normalized(activation):
    return Layer(
        _exact(lambda field: activation_step(layer_norm_step(field), activation)), lambda _, nngp: correlation(nngp)
    )


@functools.cache
def _batch_normalized(slope):
    return Layer(_exact(lambda field: batch_norm_step(field, slope)), lambda _, nngp: batch_norm_nngp(nngp, slope=1.0))


def _exact(step):
    """`step` on one field, mapped over tangents; what depends on the NNGP alone is computed once."""

    def mapped(_, field):
        def on_tangent(theta):
            return tuple(step(Field(field.nngp, theta)))

        nngp, ntk = jax.vmap(on_tangent, out_axes=(None, 0))(field.ntk)
        return Field(nngp, ntk), jnp.zeros(0, field.nngp.dtype)

    return mapped


@functools.cache
def _sampled(normalizer, activation, batch, samples):
    law = tangent.law(normalizer.function, batch, normalizer.group_size or COUPLED_FEATURES, samples)

    def step(key, field):
        return tangent.tangent_moments(key, field, lambda u: activation.phi(normalizer.function(u)), law)

    return Layer(step, lambda key, nngp: tangent.nngp_moment(key, nngp, normalizer.function, law), sampled=True)
