"""VGG-11 and VGG-16: plain stacks of 3x3 convolutions, then dense layers.

Source: Simonyan & Zisserman 2015 (arXiv 1409.1556), table 1, configurations A and D, with torchvision's places for the normaliser
and without dropout. The CIFAR form is that of MimicNorm's code (from github.com/weiaicunzai/pytorch-cifar100): 512 inputs to the
first dense layer, one position. Dense layers have no normaliser.
"""

import itertools

import equinox as eqx
import jax
from jaxtyping import Array, Float

from ntkcheck.models.layers import Dense, Images, Observe, Unit, max_pool
from ntkcheck.models.scheme import Keys, Scheme

CHANNELS = (64, 128, 256, 512, 512)
SIDE = {"cifar": 32, "imagenet": 224}


class VGG(eqx.Module):
    """Stages of convolutions with pooling behind each, then three dense layers."""

    stages: tuple[tuple[Unit, ...], ...]
    dense: tuple[Dense, ...]
    smallest: int = eqx.field(static=True)

    def __call__(self, x: Images, observe: Observe) -> Float[Array, "batch classes"]:
        """The logits."""
        h = x
        for stage in self.stages:
            for unit in stage:
                h = jax.nn.relu(unit(h, observe))
            h = max_pool(h, window=2, stride=2)
        self._check_positions(x, h)
        h = h.reshape(h.shape[0], -1)
        *hidden, readout = self.dense
        for layer in hidden:
            h = jax.nn.relu(layer(h))
        return readout(h)

    def _check_positions(self, x: Images, h: Images) -> None:
        """The first dense layer fixes the size of the images, up to what pooling drops."""
        inputs = self.dense[0].weight.shape[0]
        if h[0].size != inputs:
            side = self.smallest
            raise ValueError(
                f"`x` must hold images of {side} x {side}, because the first dense layer has {inputs} inputs, got "
                f"{x.shape[1]} x {x.shape[2]}; resize them."
            )


def build(
    keys: Keys,
    scheme: Scheme,
    classes: int,
    form: str,
    *,
    stages: tuple[int, ...],
    channels: tuple[int, ...] = CHANNELS,
    dense: int = 4096,
) -> VGG:
    """A VGG network.

    Args:
        keys: Of the weights.
        scheme: The normaliser.
        classes: Number of logits.
        form: "cifar" or "imagenet".
        stages: Number of convolutions in each stage.
        channels: Channels of each stage.
        dense: Neurons of the two hidden dense layers.
    """
    scheme = scheme.mimic_published(conv_variance=2.8)
    convolutional, before = [], 3
    for number, width in zip(stages, channels, strict=True):
        ins = (before, *[width] * (number - 1))
        convolutional.append(tuple(scheme.unit(next(keys), fan, width, 3, bias=True) for fan in ins))
        before = width
    positions = (SIDE[form] // 2 ** len(stages)) ** 2
    sizes = (before * positions, dense, dense, classes)
    layers = tuple(scheme.dense(next(keys), a, b) for a, b in itertools.pairwise(sizes))
    return VGG(tuple(convolutional), layers, SIDE[form])
