"""SqueezeNet 1.0 and 1.1: fire modules, 1x1 convolutions that squeeze and 1x1 and 3x3 convolutions that expand.

Source: Iandola et al. 2016, SqueezeNet (arXiv 1602.07360), table 1; version 1.1 and the ImageNet form are torchvision's, without
dropout. The CIFAR form, of version 1.0 alone, is that of MimicNorm's code (from github.com/weiaicunzai/pytorch-cifar100), with
simple bypasses. The paper has no normaliser; as in that code it stands behind every convolution but the last.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.models.layers import Convolution, Images, Observe, Unit, global_average, max_pool
from ntkcheck.models.scheme import Keys, Scheme

SQUEEZED = (16, 16, 32, 32, 48, 48, 64, 64)
EXPANSION = 4  # channels of either expanding convolution, over the squeezed ones


class Layout(NamedTuple):
    """What sets one form of SqueezeNet apart from the others.

    Attributes:
        stem: Channels, side of the kernel, stride and padding of the first convolution.
        pooled: Fire modules, counted from 0, that have a pooling before them.
        bypassed: Fire modules whose inputs are added to their outputs.
        window: Side of the pooling windows, at stride 2; the larger reach beyond the edge.
        rectified: Whether the last convolution has an activation.
        smallest: Side of the smallest images.
    """

    stem: tuple[int, int, int, int]
    pooled: tuple[int, ...]
    bypassed: tuple[int, ...]
    window: int
    rectified: bool
    smallest: int


LAYOUTS = {
    ("1.0", "imagenet"): Layout((96, 7, 2, 0), (0, 3, 7), (), 3, True, 21),
    ("1.1", "imagenet"): Layout((64, 3, 2, 0), (0, 2, 4), (), 3, True, 17),
    ("1.0", "cifar"): Layout((96, 3, 1, 1), (0, 3, 7), (1, 3, 5), 2, False, 8),
}


class Fire(eqx.Module):
    """Squeeze, then expand by 1x1 and by 3x3 convolutions side by side."""

    squeeze: Unit
    expand: tuple[Unit, Unit]

    def __call__(self, x: Images, observe: Observe) -> Images:
        """The module's activations."""
        h = jax.nn.relu(self.squeeze(x, observe))
        return jax.nn.relu(jnp.concatenate([unit(h, observe) for unit in self.expand], axis=-1))


class SqueezeNet(eqx.Module):
    """Stem, fire modules, a convolution whose channels are the classes, mean over positions."""

    stem: Unit
    fires: tuple[Fire, ...]
    readout: Convolution
    layout: Layout = eqx.field(static=True)

    @property
    def smallest(self) -> int:
        """Side of the smallest images."""
        return self.layout.smallest

    def __call__(self, x: Images, observe: Observe) -> Float[Array, "batch classes"]:
        """The logits."""
        h = jax.nn.relu(self.stem(x, observe))
        for i, fire in enumerate(self.fires):
            if i in self.layout.pooled:
                h = max_pool(h, self.layout.window, stride=2, ceil=self.layout.window == 3)
            expanded = fire(h, observe)
            h = h + expanded if i in self.layout.bypassed else expanded
        logits = self.readout(h)
        return global_average(jax.nn.relu(logits) if self.layout.rectified else logits)


def build(
    keys: Keys, scheme: Scheme, classes: int, form: str, *, version: str, squeezed: tuple[int, ...] = SQUEEZED
) -> SqueezeNet:
    """A SqueezeNet.

    Args:
        keys: Of the weights.
        scheme: The normaliser.
        classes: Number of logits.
        form: "cifar" or "imagenet".
        version: "1.0" or "1.1".
        squeezed: Squeezed channels of each fire module; four times as many are expanded by each kind of convolution.
    """
    layout = LAYOUTS[version, form]
    scheme = scheme.mimic_published(conv_variance=2.8, least_channels=4)
    before, kernel, stride, padding = layout.stem
    stem = scheme.unit(next(keys), 3, before, kernel, stride=stride, padding=padding, bias=True)
    fires = []
    for width in squeezed:
        fires.append(_fire(keys, scheme, before, width))
        before = 2 * EXPANSION * width
    return SqueezeNet(stem, tuple(fires), scheme.convolution(next(keys), before, classes, 1, bias=True), layout)


def _fire(keys: Keys, scheme: Scheme, before: int, width: int) -> Fire:
    squeeze = scheme.unit(next(keys), before, width, 1, bias=True)
    pointwise, spatial = (scheme.unit(next(keys), width, EXPANSION * width, k, bias=True) for k in (1, 3))
    return Fire(squeeze, (pointwise, spatial))
