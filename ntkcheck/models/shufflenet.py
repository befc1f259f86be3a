"""ShuffleNetV2, 0.5x and 1x: two branches side by side, one of them depthwise, whose channels are shuffled.

Source: Ma et al. 2018, ShuffleNet V2 (arXiv 1807.11164), table 5 and figure 3; the ImageNet form is torchvision's. The CIFAR form
is that of MimicNorm's code (from github.com/weiaicunzai/pytorch-cifar100): a 3x3 convolution at full size without activation or
pooling, biases in all convolutions, and downsampling units whose inner channels are their incoming ones.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.models.layers import Dense, Images, Observe, Unit, global_average, max_pool
from ntkcheck.models.scheme import Keys, Place, Scheme

STEM, LAST = 24, 1024


class ShuffleUnit(eqx.Module):
    """shuffle(concatenate(shortcut, branch)), of the halves of x or, where the side halves, both of x.

    The branch is 1x1, depthwise and 1x1 convolutions; the shortcut, where there is one, depthwise and 1x1.
    """

    branch: tuple[Unit, Unit, Unit]
    shortcut: tuple[Unit, Unit] | None

    def __call__(self, x: Images, observe: Observe) -> Images:
        """The unit's activations."""
        across, h = jnp.split(x, 2, axis=-1) if self.shortcut is None else (x, x)
        if self.shortcut is not None:
            depthwise, pointwise = self.shortcut
            across = jax.nn.relu(pointwise(depthwise(across, observe), observe))
        first, depthwise, pointwise = self.branch
        h = depthwise(jax.nn.relu(first(h, observe)), observe)
        return shuffle(across, jax.nn.relu(pointwise(h, observe)))


class ShuffleNet(eqx.Module):
    """Stem, shuffle units, a 1x1 convolution, mean over positions, readout."""

    stem: Unit
    units: tuple[ShuffleUnit, ...]
    last: Unit
    readout: Dense
    imagenet: bool = eqx.field(static=True)
    smallest: int = eqx.field(static=True)

    def __call__(self, x: Images, observe: Observe) -> Float[Array, "batch classes"]:
        """The logits."""
        h = self.stem(x, observe)
        if self.imagenet:
            h = max_pool(jax.nn.relu(h), window=3, stride=2, padding=1)
        for unit in self.units:
            h = unit(h, observe)
        return self.readout(global_average(jax.nn.relu(self.last(h, observe))))


def shuffle(a: Images, b: Images) -> Images:
    """Channels of two halves, in turns."""
    return jnp.stack([a, b], axis=-1).reshape(*a.shape[:-1], -1)


def build(
    keys: Keys,
    scheme: Scheme,
    classes: int,
    form: str,
    *,
    channels: tuple[int, ...],
    repeats: tuple[int, ...] = (4, 8, 4),
    last: int = LAST,
) -> ShuffleNet:
    """A ShuffleNetV2.

    Args:
        keys: Of the weights.
        scheme: The normaliser.
        classes: Number of logits.
        form: "cifar" or "imagenet".
        channels: Channels of each stage.
        repeats: Units in each stage, of which the first halves the side.
        last: Channels before the readout.
    """
    scheme = scheme.mimic_published(least_channels=4)
    imagenet = form == "imagenet"
    stem = scheme.unit(next(keys), 3, STEM, 3, stride=2 if imagenet else 1, bias=not imagenet)
    units, before = [], STEM
    for width, number in zip(channels, repeats, strict=True):
        units.append(_downsampling(keys, scheme, before, width, imagenet))
        units.extend(_unit(keys, scheme, width, imagenet) for _ in range(number - 1))
        before = width
    end = scheme.unit(next(keys), before, last, 1, Place(convolutions=1, ends=True), bias=not imagenet)
    readout = scheme.dense(next(keys), last, classes)
    smallest = 2 ** len(channels) * (4 if imagenet else 1)
    return ShuffleNet(stem, tuple(units), end, readout, imagenet, smallest)


def _unit(keys: Keys, scheme: Scheme, width: int, imagenet: bool) -> ShuffleUnit:
    half = width // 2
    return ShuffleUnit(_branch(keys, scheme, half, half, half, 1, imagenet), None)


def _downsampling(keys: Keys, scheme: Scheme, before: int, width: int, imagenet: bool) -> ShuffleUnit:
    half = width // 2
    branch = _branch(keys, scheme, before, half if imagenet else before, half, 2, imagenet)
    shortcut = (
        scheme.unit(next(keys), before, before, 3, stride=2, groups=before, bias=not imagenet),
        scheme.unit(next(keys), before, half, 1, Place(convolutions=1, ends=True), bias=not imagenet),
    )
    return ShuffleUnit(branch, shortcut)


def _branch(
    keys: Keys, scheme: Scheme, before: int, inner: int, out: int, stride: int, imagenet: bool
) -> tuple[Unit, Unit, Unit]:
    # MimicNorm's code counts two convolutions here: none for the depthwise one.
    end = Place(convolutions=2, ends=True)
    return (
        scheme.unit(next(keys), before, inner, 1, bias=not imagenet),
        scheme.unit(next(keys), inner, inner, 3, stride=stride, groups=inner, bias=not imagenet),
        scheme.unit(next(keys), inner, out, 1, end, bias=not imagenet),
    )
