"""Building blocks of the reference networks: arrays, and what is done with them.

Activations are (batch, height, width, channels) and kernels (height, width, channels in, channels out): on CPUs XLA convolves
channels-last a little faster, normalisers see their (rows, channels) without a copy, and on GPUs XLA chooses its own layout.
"""

import functools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ntkcheck.models.norms import Activations, Function
from ntkcheck.normalizers import centre_weights

Images = Float[Array, "batch height width channels"]
Observe = Callable[[str, Array], Array]


def unobserved(_: str, x: Array) -> Array:
    """Leave a normaliser's output as it is."""
    return x


class Affine(eqx.Module):
    """scale x + shift, per channel or, for MimicNorm and Fixup, by scalars; None leaves a part out."""

    scale: Float[Array, "*channels"] | None = None
    shift: Float[Array, "*channels"] | None = None

    def __call__(self, x: Activations) -> Activations:
        """The rescaled and shifted activations."""
        x = x if self.scale is None else self.scale * x
        return x if self.shift is None else x + self.shift


class Norm(eqx.Module):
    """A place for a normaliser: its function, what looks at the result, then the affine part.

    Attributes:
        function: The normaliser; None where the network has none, and what is observed is the convolution's output.
        affine: What follows.
        name: The place's path in the network, under which it is observed.
    """

    function: Function | None = eqx.field(static=True)
    affine: Affine
    name: str = eqx.field(static=True, default="")

    def __call__(self, x: Activations, observe: Observe) -> Activations:
        """The normalised, observed and rescaled activations."""
        normalized = x if self.function is None else _apply(self.function, x)
        return self.affine(observe(self.name, normalized))


@functools.partial(jax.jit, static_argnums=0)
def _apply(function: Function, x: Activations) -> Activations:
    """Traced once for each shape, which a deep network has many layers of."""
    return function(x)


class Convolution(eqx.Module):
    """A convolution, zero-padded alike on all sides: y = x * W + b.

    Attributes:
        weight: The kernel; (height, width, channels in / groups, channels out).
        bias: One number per channel, or none.
        stride: Of both axes.
        padding: Zeros on each side of both axes.
        groups: Groups of channels that are convolved apart; the number of channels in a depthwise convolution.
        min_fan_in: Where the fan-in exceeds it, each neuron's weights are centred over channels and kernel positions (weight
            mean) on their way into the convolution, so that the parameters may leave the constraint and the network does not.
            None never centres.
    """

    weight: Float[Array, "height width channels_in channels_out"]
    bias: Float[Array, " channels_out"] | None
    stride: int = eqx.field(static=True)
    padding: int = eqx.field(static=True)
    groups: int = eqx.field(static=True)
    min_fan_in: int | None = eqx.field(static=True)

    def __call__(self, x: Images) -> Images:
        """The convolved images."""
        convolve = _depthwise_by_shifts if self.groups > 1 and x.dtype == jnp.float64 else _convolve
        y = convolve(x, self.constrained_weight(), self.stride, self.padding, self.groups)
        return y if self.bias is None else y + self.bias

    def constrained_weight(self) -> Float[Array, "height width channels_in channels_out"]:
        """The weights that convolve: centred, where weight mean applies."""
        if self.min_fan_in is None:
            return self.weight
        rows = self.weight.reshape(-1, self.weight.shape[-1])
        return centre_weights(rows, self.min_fan_in).reshape(self.weight.shape)


class Dense(eqx.Module):
    """A dense layer of vectors, entry(x) W + b."""

    entry: Affine
    weight: Float[Array, "fan_in fan_out"]
    bias: Float[Array, " fan_out"]

    def __call__(self, x: Float[Array, "batch fan_in"]) -> Float[Array, "batch fan_out"]:
        """The layer's outputs."""
        return self.entry(x) @ self.weight + self.bias


class Unit(eqx.Module):
    """A convolution and the normaliser behind it; Fixup shifts what goes in."""

    entry: Affine
    convolution: Convolution
    norm: Norm

    def __call__(self, x: Images, observe: Observe) -> Images:
        """The pre-activations."""
        return self.norm(self.convolution(self.entry(x)), observe)


def max_pool(x: Images, window: int, stride: int, padding: int = 0, ceil: bool = False) -> Images:
    """Maxima over windows; with `ceil`, the last window of an axis may reach beyond the edge, as in SqueezeNet."""
    beyond = [-(size + 2 * padding - window) % stride if ceil else 0 for size in x.shape[1:3]]
    borders = [(0, 0), *((padding, padding + more) for more in beyond), (0, 0)]
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, window, window, 1), (1, stride, stride, 1), borders)


def global_average(x: Images) -> Float[Array, "batch channels"]:
    """Mean over positions."""
    return jnp.mean(x, axis=(1, 2))


def _convolve(x: Images, weight: Array, stride: int, padding: int, groups: int) -> Images:
    return lax.conv_general_dilated(
        x,
        weight,
        (stride, stride),
        [(padding, padding)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def _depthwise_by_shifts(x: Images, weight: Array, stride: int, padding: int, groups: int) -> Images:
    """A depthwise convolution as a sum over kernel positions.

    In float64, with a border and one channel to a group, XLA's CPU backend reads outside its buffers on AVX-512 machines.
    """
    height, width = weight.shape[:2]
    border = (padding, padding)
    padded = jnp.pad(x, ((0, 0), border, border, (0, 0)))
    rows, columns = (
        (size - k) // stride * stride + 1 for size, k in zip(padded.shape[1:3], (height, width), strict=True)
    )
    return sum(
        (
            padded[:, i : i + rows : stride, j : j + columns : stride] * weight[i, j, 0]
            for i in range(height)
            for j in range(width)
        ),
        start=jnp.zeros((), x.dtype),
    )
