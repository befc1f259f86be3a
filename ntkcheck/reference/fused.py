"""BatchNorm as frameworks fuse it: one operation that keeps its input and the statistics, and recomputes the rest backward."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.models import Model, Observe
from ntkcheck.models.layers import Activations, Norm
from ntkcheck.models.norms import batch_norm
from ntkcheck.reference.watched import map_norms

Scale = Float[Array, " channels"]
Residuals = tuple[Activations, Float[Array, " channels"], Float[Array, " channels"], Scale]


class FusedBatchNorm(eqx.Module):
    """A place for BatchNorm with its scale and shift; what is observed is the result."""

    scale: Scale | None
    shift: Scale | None
    name: str = eqx.field(static=True)
    eps: float = eqx.field(static=True)

    def __call__(self, x: Activations, observe: Observe) -> Activations:
        """scale (x - mean) / std + shift, statistics over samples and positions."""
        scale = jnp.ones(x.shape[-1], x.dtype) if self.scale is None else self.scale
        y: Activations = fused_batch_norm(x, scale, self.eps)  # pyright: ignore[reportAssignmentType]
        return observe(self.name, y if self.shift is None else y + self.shift)


def with_fused_batch_norm(model: Model) -> Model:
    """The model with fused BatchNorm wherever it has BatchNorm: the same function of parameters and images, up to rounding."""

    def fused(norm: Norm) -> Norm | FusedBatchNorm:
        function = norm.function
        if not isinstance(function, functools.partial) or function.func is not batch_norm:
            return norm
        return FusedBatchNorm(norm.affine.scale, norm.affine.shift, norm.name, function.keywords["eps"])

    return map_norms(fused, model)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def fused_batch_norm(x: Activations, scale: Scale, eps: float) -> Activations:
    """scale (x - mean) / (var + eps)^{1/2} by channel, of which the backward pass keeps x, mean and 1 / (var + eps)^{1/2} alone.

    Source: Ioffe & Szegedy 2015, Batch normalization, section 3; what cuDNN and PyTorch keep of it.
    """
    return _forward(x, scale, eps)[0]


def _forward(x: Activations, scale: Scale, eps: float) -> tuple[Activations, Residuals]:
    axes = tuple(range(x.ndim - 1))
    mean = jnp.mean(x, axes)
    inverse_deviation = jax.lax.rsqrt(jnp.mean((x - mean) ** 2, axes) + eps)
    return scale * ((x - mean) * inverse_deviation), (x, mean, inverse_deviation, scale)


def _backward(eps: float, kept: Residuals, g: Activations) -> tuple[Activations, Scale]:
    x, mean, inverse_deviation, scale = kept
    axes = tuple(range(x.ndim - 1))
    normalized = (x - mean) * inverse_deviation
    of_scale = jnp.sum(g * normalized, axes)
    count = x.size // x.shape[-1]
    of_normalized = g - jnp.mean(g, axes) - normalized * (of_scale / count)
    return scale * inverse_deviation * of_normalized, of_scale


fused_batch_norm.defvjp(_forward, _backward)
