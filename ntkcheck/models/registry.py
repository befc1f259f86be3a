"""The reference networks by name."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ntkcheck import errors
from ntkcheck.models import resnet, scheme, shufflenet, squeezenet, vgg, wide_resnet
from ntkcheck.models.layers import Norm
from ntkcheck.models.model import Model, Network

FORMS = ("cifar", "imagenet")


class Architecture(NamedTuple):
    """How a network is built, in which forms it exists, and whether it has the residual branches that Fixup is about."""

    build: Callable[..., Network]
    forms: tuple[str, ...] = FORMS
    residual: bool = False


def _resnet(*stages: int, bottleneck: bool = False) -> Architecture:
    return Architecture(functools.partial(resnet.build, stages=stages, bottleneck=bottleneck), residual=True)


def _wide_resnet(depth: int, width: int) -> Architecture:
    return Architecture(functools.partial(wide_resnet.build, depth=depth, width=width), ("cifar",), residual=True)


ARCHITECTURES = {
    "resnet18": _resnet(2, 2, 2, 2),
    "resnet34": _resnet(3, 4, 6, 3),
    "resnet50": _resnet(3, 4, 6, 3, bottleneck=True),
    "resnet101": _resnet(3, 4, 23, 3, bottleneck=True),
    "vgg11": Architecture(functools.partial(vgg.build, stages=(1, 1, 2, 2, 2))),
    "vgg16": Architecture(functools.partial(vgg.build, stages=(2, 2, 3, 3, 3))),
    "shufflenet_v2_x0_5": Architecture(functools.partial(shufflenet.build, channels=(48, 96, 192))),
    "shufflenet_v2_x1_0": Architecture(functools.partial(shufflenet.build, channels=(116, 232, 464))),
    "squeezenet1_0": Architecture(functools.partial(squeezenet.build, version="1.0")),
    "squeezenet1_1": Architecture(functools.partial(squeezenet.build, version="1.1"), ("imagenet",)),
    "wide_resnet28_10": _wide_resnet(28, 10),
    "wide_resnet40_10": _wide_resnet(40, 10),
}
NAMES = tuple(ARCHITECTURES)


def make(
    name: str,
    normalizer: str = "batch_norm",
    classes: int = 10,
    form: str = "cifar",
    *,
    key: Key[Array, ""],
    group_size: int | None = None,
    eps: float = 1e-5,
    dtype: Any = jnp.float32,
) -> Model:
    """A reference network at initialisation.

    Source: the architectures' papers, named in their modules; `ntkcheck.models.scheme` says what each normaliser changes, and how
    weights are initialised.

    Args:
        name: One of `NAMES`.
        normalizer: One of `NORMALIZERS`.
        classes: Number of logits.
        form: "cifar" for images of 32 x 32 or "imagenet" for images of 224 x 224, whose stems differ.
        key: Of the weights.
        group_size: Channels per group of the whitenings, at most: 64 for iter_norm and 16 for zca unless given.
        eps: Added to variances.
        dtype: Of the parameters; float64 wherever an oracle is wanted.

    Returns:
        The model. `jax.eval_shape(lambda key: make(..., key=key), key)` gives its shapes without computing anything.

    Raises:
        ValueError: For an unknown name, normaliser or form (with the nearest known), a form that the network does not have, Fixup
            without residual branches, fewer than two classes, and parameters of the normaliser outside their domain.
    """
    if name not in NAMES:
        raise errors.unknown_name("name", name, NAMES)
    architecture = ARCHITECTURES[name]
    plug = scheme.get(normalizer, group_size, eps, dtype)
    _check(name, architecture, normalizer, classes, form)
    network = named(architecture.build(scheme.key_stream(key), plug, int(classes), form))
    return Model(network, plug.output_norm(), name, form, normalizer, normalizer in scheme.BATCH_STATISTICS)


def named(network: Network) -> Network:
    """The network with its normalisers' paths as their names."""

    def with_name(path: tuple[Any, ...], node: Any) -> Any:
        if not isinstance(node, Norm):
            return node
        return dataclasses.replace(node, name=jax.tree_util.keystr(path, simple=True, separator="."))

    return jax.tree_util.tree_map_with_path(with_name, network, is_leaf=lambda node: isinstance(node, Norm))


def _check(name: str, architecture: Architecture, normalizer: str, classes: int, form: str) -> None:
    if form not in FORMS:
        raise errors.unknown_name("form", form, FORMS)
    if form not in architecture.forms:
        raise ValueError(f"`form` must be {architecture.forms[0]} for {name}, got {form!r}: its paper has no other.")
    if normalizer == "fixup" and not architecture.residual:
        residual = ", ".join(known for known, other in ARCHITECTURES.items() if other.residual)
        raise ValueError(
            f"`normalizer` fixup needs residual branches, got {name!r}; choose none, or one of {residual}."
        )
    if isinstance(classes, bool) or not isinstance(classes, int | np.integer) or classes < 2:
        raise ValueError(
            f"`classes` must be a whole number of logits, at least 2, got {classes!r}; CIFAR has 10 or 100."
        )
