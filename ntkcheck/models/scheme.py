"""What a normaliser changes in a network: the plug that every architecture is built with.

| name | between convolution and activation | elsewhere |
|---|---|---|
| none | nothing | convolutions have biases |
| batch_norm, iter_norm, zca, layer_norm, group_norm | the function, then scale 1 and shift 0 per channel | |
| scaled_batch_norm | BatchNorm, then scale 0.1 and shift 0 | in training its scales have the learning rate divided by 100 |
| mimic_norm | nothing | see below |
| fixup | scalar shifts | residual branches: scalar scale, last convolution 0, the others smaller; readout 0 |

MimicNorm follows its published code: weight mean in convolutions whose fan-in exceeds 50 (dense layers keep their mean); biases; a
trained scalar 1.2^m / k on the k-th residual branch of the network, m its convolutions; BatchNorm without affine part on the
logits. In ResNet's ImageNet form shortcut convolutions have a scalar 1.2. In ShuffleNet each branch has 1.2^m, depthwise
convolutions not counted, and the last convolution 1.2; in VGG and SqueezeNet there are no scalars, but weights of variance
2.8 / fan-in. In ShuffleNet and SqueezeNet that fan-in counts at least 4 channels. Where this library departs from the code:

- The weights are centred on their way into the convolution; the code centres the stored weights after each step (claim MN-8).
- The ImageNet code centres every convolution that is not grouped; here the rule of its CIFAR code holds for both forms.
- The ImageNet code takes 2.8 / fan-out for VGG; here it is the fan-in for both forms.
- The bottleneck's shortcut has a bias in both forms; in the CIFAR code it has none.
- The CIFAR ShuffleNet's additional scalar 1 and shift 0 behind each branch are left out; at initialisation they do nothing.
- WideResNet is not in that code; it gets what the CIFAR ResNet gets.

Initialisation: weights are normal with variance 2 / fan-in, readouts included, and biases 0 (He et al. 2015, forward case), in
every network and under every normaliser, except where it says otherwise here. The papers' codes disagree among themselves (fan-out
in torchvision's ResNet and in Fixup, 0.01 in VGG's dense layers); one rule makes normalisers comparable, and it is the theory's.

Sources: MimicNorm (arXiv 2010.09278, code at github.com/Kid-key/MimicNorm); Zhang, Dauphin & Ma 2019, Fixup initialization, section
3 (and github.com/hongyi-zhang/Fixup for where its scalars stand; in WideResNets they stand before each convolution and activation
alike); arXiv 2110.13989 for scaled_batch_norm; Wu & He 2018, Group normalization.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ntkcheck import errors
from ntkcheck.compilation import compiled
from ntkcheck.models import norms
from ntkcheck.models.layers import Affine, Convolution, Dense, Norm, Unit
from ntkcheck.normalizers.groups import check_group_size

# MimicNorm's scalar per convolution; exact would be `normalizers.RELU_COMPENSATION` (claim MN-7).
MIMIC_GAIN = 1.2
MIMIC_MIN_FAN_IN = 50
SCALED_BATCH_NORM_SCALE = 0.1
WHITENING_GROUP = {"iter_norm": 64, "zca": 16}
ITER_NORM_STEPS = 5
GROUP_NORM_GROUPS = 32

NORMALIZERS = (
    "none",
    "batch_norm",
    "mimic_norm",
    "iter_norm",
    "zca",
    "layer_norm",
    "group_norm",
    "scaled_batch_norm",
    "fixup",
)
BATCH_STATISTICS = {"batch_norm", "mimic_norm", "iter_norm", "zca", "scaled_batch_norm"}

Keys = Iterator[Key[Array, ""]]


class Place(NamedTuple):
    """Where a unit stands, as far as MimicNorm and Fixup care.

    Attributes:
        convolutions: m, those of the branch that the unit belongs to; 0 outside branches.
        block: k, the number of the residual block in the network, from 1; 1 where branches are not added up.
        blocks: L, the network's residual blocks; 0 outside residual branches.
        ends: Whether the unit is the last of a branch or shortcut.
    """

    convolutions: int = 0
    block: int = 1
    blocks: int = 0
    ends: bool = False


PLAIN = Place()


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A normaliser as the architectures use it: the maker of their layers.

    Attributes:
        name: One of `NORMALIZERS`.
        function: What stands between convolution and activation, if anything.
        dtype: Of all parameters.
        eps: Added to variances.
        conv_variance: Variance of a convolution's weights times its fan-in.
        least_channels: Channels that the fan-in of that variance counts at least.
    """

    name: str
    function: norms.Function | None
    dtype: Any
    eps: float
    conv_variance: float = 2.0
    least_channels: int = 1

    def mimic_published(self, conv_variance: float = 2.0, least_channels: int = 1) -> "Scheme":
        """For MimicNorm, with the initial variance that its code gives to one architecture; any other scheme as it is."""
        if self.name != "mimic_norm":
            return self
        return dataclasses.replace(self, conv_variance=conv_variance, least_channels=least_channels)

    def unit(
        self,
        key: Key[Array, ""],
        channels_in: int,
        channels_out: int,
        kernel: int,
        place: Place = PLAIN,
        **options: Any,
    ) -> Unit:
        """A convolution and its normaliser; arguments as for `convolution`."""
        convolution = self.convolution(key, channels_in, channels_out, kernel, place, **options)
        return Unit(self.entry(place), convolution, self.norm(channels_out, place))

    def convolution(
        self,
        key: Key[Array, ""],
        channels_in: int,
        channels_out: int,
        kernel: int,
        place: Place = PLAIN,
        *,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
    ) -> Convolution:
        """A convolution.

        Args:
            key: Of its weights.
            channels_in: Channels of what it convolves.
            channels_out: Channels of the result.
            kernel: Side of the kernel.
            place: Where it stands.
            stride: Of both axes.
            padding: Zeros on each side; (kernel - 1) / 2 unless given, which keeps the size at stride 1.
            groups: Groups of channels that are convolved apart.
            bias: Whether it has a bias even where a normaliser's shift makes it superfluous.
        """
        channels = channels_in // groups
        variance = self.conv_variance / (kernel**2 * max(channels, self.least_channels))
        deviation = variance**0.5 * self._branch_factor(place)
        shape = kernel, kernel, channels, channels_out
        has_bias = bias or (self.function is None and self.name != "fixup")
        return Convolution(
            _normal(key, deviation, shape, self.dtype),
            self._filled(0.0, channels_out) if has_bias else None,
            stride,
            (kernel - 1) // 2 if padding is None else padding,
            groups,
            MIMIC_MIN_FAN_IN if self.name == "mimic_norm" else None,
        )

    def dense(self, key: Key[Array, ""], fan_in: int, fan_out: int) -> Dense:
        """A dense layer; under Fixup a readout, which starts at 0."""
        fixup = self.name == "fixup"
        deviation = 0.0 if fixup else (2 / fan_in) ** 0.5
        weight = _normal(key, deviation, (fan_in, fan_out), self.dtype)
        return Dense(Affine(shift=self._filled(0.0) if fixup else None), weight, self._filled(0.0, fan_out))

    def norm(self, channels: int, place: Place = PLAIN) -> Norm:
        """The normaliser of `channels` channels."""
        if self.function is None:
            return Norm(None, self.branch_end(place) if place.ends else Affine(shift=self._fixup_shift()))
        scale = SCALED_BATCH_NORM_SCALE if self.name == "scaled_batch_norm" else 1.0
        return Norm(self.function, Affine(self._filled(scale, channels), self._filled(0.0, channels)))

    def output_norm(self) -> Norm:
        """What stands between the logits and the loss: for MimicNorm, BatchNorm without affine part."""
        function = _function("batch_norm", 1, self.eps) if self.name == "mimic_norm" else None
        return Norm(function, Affine(), name="logits")

    def entry(self, place: Place) -> Affine:
        """What precedes the convolutions of a residual branch: Fixup's scalar shift."""
        return Affine(shift=self._fixup_shift() if place.blocks else None)

    def branch_end(self, place: Place) -> Affine:
        """The scalars that end a branch: MimicNorm's and Fixup's."""
        if self.name == "mimic_norm" and place.convolutions:
            return Affine(scale=self._filled(MIMIC_GAIN**place.convolutions / place.block))
        if self.name == "fixup" and place.blocks:
            return Affine(scale=self._filled(1.0), shift=self._filled(0.0))
        return Affine()

    def _branch_factor(self, place: Place) -> float:
        """Fixup's L^(-1 / (2 m - 2)) in residual branches, 0 at their ends."""
        if self.name != "fixup" or not place.blocks:
            return 1.0
        return 0.0 if place.ends else place.blocks ** (-1 / (2 * place.convolutions - 2))

    def _fixup_shift(self) -> Array | None:
        return self._filled(0.0) if self.name == "fixup" else None

    def _filled(self, value: float, *shape: int) -> Array:
        return jnp.asarray(np.full(shape, value, self.dtype))  # by NumPy, which compiles nothing


def get(name: str, group_size: int | None = None, eps: float = 1e-5, dtype: Any = jnp.float32) -> Scheme:
    """The scheme of a normaliser.

    Args:
        name: One of `NORMALIZERS`.
        group_size: Channels per group of `iter_norm` (64 unless given, as its paper recommends) and `zca` (16 unless given), at
            most.
        eps: Added to variances; every published code has 1e-5.
        dtype: Of all parameters.

    Raises:
        ValueError: For an unknown name, a group size that is not a positive int or that nothing uses, a negative `eps`, and a
            `dtype` that is not to be had.
    """
    if name not in NORMALIZERS:
        raise errors.unknown_name("normalizer", name, NORMALIZERS)
    if group_size is not None:
        check_group_size(group_size)
        if name not in WHITENING_GROUP:
            raise ValueError(
                f"`group_size` must be left out, got {group_size!r}: {name} does not whiten groups of channels."
            )
    if not (math.isfinite(eps) and eps >= 0):
        raise ValueError(f"`eps` must be a finite number >= 0, got {eps!r}; the papers' codes have 1e-5.")
    if not jnp.issubdtype(dtype, jnp.floating) or jax.dtypes.canonicalize_dtype(dtype) != jnp.dtype(dtype):
        raise ValueError(
            f"`dtype` must be a floating type that JAX has switched on, got {dtype!r}; float64 needs jax_enable_x64."
        )
    return Scheme(name, _function(name, group_size or WHITENING_GROUP.get(name, 1), float(eps)), dtype, float(eps))


@functools.cache
def _function(name: str, group_size: int, eps: float) -> norms.Function | None:
    """The same object for the same arguments, so that it is traced once for all models."""
    functions = {
        "batch_norm": functools.partial(norms.batch_norm, eps=eps),
        "scaled_batch_norm": functools.partial(norms.batch_norm, eps=eps),
        "iter_norm": functools.partial(norms.iter_norm, group_size=group_size, iterations=ITER_NORM_STEPS, eps=eps),
        "zca": functools.partial(norms.zca, group_size=group_size, eps=eps),
        "layer_norm": functools.partial(norms.layer_norm, eps=eps),
        "group_norm": functools.partial(norms.group_norm, groups=GROUP_NORM_GROUPS, eps=eps),
    }
    return functions.get(name)


@compiled("shape", "dtype", optimization=0)  # compiled for each shape of a network and run a few times
def _normal(key: Key[Array, ""], deviation: float, shape: tuple[int, ...], dtype: Any) -> Array:
    return jnp.asarray(deviation, dtype) * jax.random.normal(key, shape, dtype)


def key_stream(key: Key[Array, ""]) -> Keys:
    """Independent keys without end."""
    return (jax.random.fold_in(key, i) for i in itertools.count())
