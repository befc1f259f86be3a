"""The architectures at a width and depth that compile in a moment."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from ntkcheck.models import Model, resnet, scheme, shufflenet, squeezenet, vgg, wide_resnet
from ntkcheck.models.registry import named

BUILDERS = {
    "resnet": functools.partial(resnet.build, stages=(1, 1), bottleneck=False, width=8),
    "bottleneck": functools.partial(resnet.build, stages=(1, 1), bottleneck=True, width=8),
    "wide_resnet": functools.partial(wide_resnet.build, depth=8, width=1, stages=2),
    "vgg": functools.partial(vgg.build, stages=(1, 2), channels=(8, 8), dense=12),
    "shufflenet": functools.partial(shufflenet.build, channels=(8,), repeats=(2,), last=16),
    "squeezenet": functools.partial(squeezenet.build, version="1.0", squeezed=(2, 2)),
}
RESIDUAL = ("resnet", "bottleneck", "wide_resnet")
# VGG's dense layers fix the side; the others' images may be smaller.
SIDES = dict.fromkeys(BUILDERS, 8) | {"vgg": 32}


def small(
    architecture: str,
    normalizer: str,
    form: str = "cifar",
    *,
    classes: int = 3,
    seed: int = 0,
    dtype: Any = jnp.float32,
    **options: Any,
) -> Model:
    plug = scheme.get(normalizer, dtype=dtype)
    network = BUILDERS[architecture](scheme.key_stream(jax.random.key(seed)), plug, classes, form, **options)
    couples_batch = normalizer in scheme.BATCH_STATISTICS
    return Model(named(network), plug.output_norm(), architecture, form, normalizer, couples_batch)


def images(architecture: str, batch: int = 4, dtype: Any = jnp.float32, seed: int = 1) -> jax.Array:
    side = SIDES[architecture]
    return jax.random.normal(jax.random.key(seed), (batch, side, side, 3), dtype)


def units(tree: Any, kind: type) -> list[Any]:
    """All parts of a model that are of one kind, in the order of its fields."""
    return [
        node for node in jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, kind)) if isinstance(node, kind)
    ]
