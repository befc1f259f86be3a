"""ResNet-18/34/50/101: residual networks with the activation behind the sum.

Source: He et al. 2016a, Deep residual learning (arXiv 1512.03385), table 1. As in torchvision, a bottleneck's stride is in its 3x3
convolution, and shortcuts that change shape are 1x1 convolutions (option B). The CIFAR form is that of
github.com/kuangliu/pytorch-cifar and of MimicNorm's code: the same stages behind a 3x3 convolution without pooling.
"""

import equinox as eqx
import jax
from jaxtyping import Array, Float

from ntkcheck.models.layers import Dense, Images, Observe, Unit, global_average, max_pool
from ntkcheck.models.scheme import Keys, Place, Scheme

EXPANSION = 4  # of a bottleneck's channels at its end


class Block(eqx.Module):
    """relu(branch(x) + shortcut(x)), the branch two convolutions or a bottleneck of three."""

    branch: tuple[Unit, ...]
    shortcut: Unit | None

    def __call__(self, x: Images, observe: Observe) -> Images:
        """The block's activations."""
        *inner, last = self.branch
        h = x
        for unit in inner:
            h = jax.nn.relu(unit(h, observe))
        h = last(h, observe)
        # Fixup's shift before the first convolution is the shortcut's too.
        across = x if self.shortcut is None else self.shortcut(self.branch[0].entry(x), observe)
        return jax.nn.relu(h + across)


class ResNet(eqx.Module):
    """Stem, residual blocks, mean over positions, readout."""

    stem: Unit
    blocks: tuple[Block, ...]
    readout: Dense
    pools: bool = eqx.field(static=True)
    smallest: int = eqx.field(static=True)

    def __call__(self, x: Images, observe: Observe) -> Float[Array, "batch classes"]:
        """The logits."""
        h = jax.nn.relu(self.stem(x, observe))
        h = max_pool(h, window=3, stride=2, padding=1) if self.pools else h
        for block in self.blocks:
            h = block(h, observe)
        return self.readout(global_average(h))


def build(
    keys: Keys, scheme: Scheme, classes: int, form: str, *, stages: tuple[int, ...], bottleneck: bool, width: int = 64
) -> ResNet:
    """A ResNet.

    Args:
        keys: Of the weights.
        scheme: The normaliser.
        classes: Number of logits.
        form: "cifar" or "imagenet".
        stages: Number of blocks in each stage; from stage to stage channels double and sides halve.
        bottleneck: Whether branches are 1x1, 3x3, 1x1 convolutions rather than two 3x3.
        width: Channels of the first stage.
    """
    imagenet = form == "imagenet"
    stem = scheme.unit(next(keys), 3, width, 7, stride=2) if imagenet else scheme.unit(next(keys), 3, width, 3)
    blocks, channels = [], width
    for stage, number in enumerate(stages):
        inner = width * 2**stage
        for i in range(number):
            place = Place(3 if bottleneck else 2, len(blocks) + 1, sum(stages))
            stride = 2 if stage and i == 0 else 1
            blocks.append(_block(keys, scheme, place, channels, inner, stride, imagenet))
            channels = inner * (EXPANSION if bottleneck else 1)
    readout = scheme.dense(next(keys), channels, classes)
    return ResNet(stem, tuple(blocks), readout, imagenet, 2 ** (len(stages) - 1) * (4 if imagenet else 1))


def _block(keys: Keys, scheme: Scheme, place: Place, channels: int, inner: int, stride: int, imagenet: bool) -> Block:
    end = place._replace(ends=True)
    if place.convolutions == 3:
        out = inner * EXPANSION
        branch = (
            scheme.unit(next(keys), channels, inner, 1, place),
            scheme.unit(next(keys), inner, inner, 3, place, stride=stride),
            scheme.unit(next(keys), inner, out, 1, end),
        )
    else:
        out = inner
        branch = (
            scheme.unit(next(keys), channels, inner, 3, place, stride=stride),
            scheme.unit(next(keys), inner, inner, 3, end),
        )
    if stride == 1 and channels == out:
        return Block(branch, None)
    # MimicNorm's ImageNet code rescales the shortcut's convolution, its CIFAR code does not.
    across = Place(convolutions=1 if imagenet else 0, ends=True)
    return Block(branch, scheme.unit(next(keys), channels, out, 1, across, stride=stride))
