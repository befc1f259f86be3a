"""WideResNet-28-10 and 40-10: residual networks with normaliser and activation before each convolution, for CIFAR images.

Source: Zagoruyko & Komodakis 2016, Wide residual networks (arXiv 1605.07146), table 1, without dropout. The paper has ImageNet
networks too, but not these.
"""

import equinox as eqx
import jax
from jaxtyping import Array, Float

from ntkcheck.models.layers import Affine, Convolution, Dense, Images, Norm, Observe, global_average
from ntkcheck.models.scheme import PLAIN, Keys, Place, Scheme

STEM = 16


class Block(eqx.Module):
    """x + branch(x), the branch [normaliser, relu, convolution] twice.

    A shortcut that changes shape is a convolution of the first normaliser's activations.
    """

    norms: tuple[Norm, ...]
    entries: tuple[Affine, ...]
    convolutions: tuple[Convolution, ...]
    end: Affine
    shortcut: Convolution | None

    def __call__(self, x: Images, observe: Observe) -> Images:
        """The sum, before the next block's normaliser."""
        first, second = self.convolutions
        entered = self.entries[0](jax.nn.relu(self.norms[0](x, observe)))
        h = jax.nn.relu(self.norms[1](first(entered), observe))
        h = self.end(second(self.entries[1](h)))
        return h + (x if self.shortcut is None else self.shortcut(entered))


class WideResNet(eqx.Module):
    """Convolution, residual blocks, normaliser, mean over positions, readout."""

    stem: Convolution
    blocks: tuple[Block, ...]
    norm: Norm
    readout: Dense
    smallest: int = eqx.field(static=True)

    def __call__(self, x: Images, observe: Observe) -> Float[Array, "batch classes"]:
        """The logits."""
        h = self.stem(x)
        for block in self.blocks:
            h = block(h, observe)
        return self.readout(global_average(jax.nn.relu(self.norm(h, observe))))


def build(
    keys: Keys, scheme: Scheme, classes: int, form: str, *, depth: int, width: int, stages: int = 3
) -> WideResNet:
    """A WideResNet.

    Args:
        keys: Of the weights.
        scheme: The normaliser.
        classes: Number of logits.
        form: "cifar", the only one.
        depth: As the paper counts: 6 times the blocks of a stage, plus 4.
        width: Channels of the first stage over 16.
        stages: Number of stages; from stage to stage channels double and sides halve.
    """
    del form
    number = (depth - 4) // (2 * stages)
    stem = scheme.convolution(next(keys), 3, STEM, 3)
    blocks, channels = [], STEM
    for stage in range(stages):
        out = STEM * width * 2**stage
        for i in range(number):
            place = Place(2, len(blocks) + 1, stages * number)
            blocks.append(_block(keys, scheme, place, channels, out, 2 if stage and i == 0 else 1))
            channels = out
    readout = scheme.dense(next(keys), channels, classes)
    return WideResNet(stem, tuple(blocks), scheme.norm(channels), readout, 2 ** (stages - 1))


def _block(keys: Keys, scheme: Scheme, place: Place, channels: int, out: int, stride: int) -> Block:
    end = place._replace(ends=True)
    convolutions = (
        scheme.convolution(next(keys), channels, out, 3, place, stride=stride),
        scheme.convolution(next(keys), out, out, 3, end),
    )
    shortcut = None if channels == out else scheme.convolution(next(keys), channels, out, 1, PLAIN, stride=stride)
    norms = scheme.norm(channels), scheme.norm(out)
    return Block(norms, (scheme.entry(place), scheme.entry(end)), convolutions, scheme.branch_end(end), shortcut)
