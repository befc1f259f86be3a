"""Speed of the empirical NTK against a plain Jacobian and against neural-tangents' NTK-vector products, float32.

Run as `python -m benchmarks.empirical_ntk`. All are compiled with the same options; the times are medians. A way that would need
more memory than `LARGEST_JACOBIAN` is left out. Without batch coupling the peers get a Jacobian per sample, as they should.
"""

import functools
import math
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ntkcheck import nt_adapter
from ntkcheck.compilation import compiled
from ntkcheck.empirical import empirical_ntk

LARGEST_JACOBIAN = 4e9  # bytes
Apply = Callable[..., jax.Array]


class Setting(NamedTuple):
    """A network to measure."""

    name: str
    apply: Apply
    shapes: list[tuple[int, ...]]
    inputs: tuple[int, ...]
    outputs: int
    coupled: bool


def batch_norm(h: jax.Array, axes: tuple[int, ...] = (0,)) -> jax.Array:
    """Batch normalisation."""
    centred = h - h.mean(axes, keepdims=True)
    return centred * lax.rsqrt((centred**2).mean(axes, keepdims=True))


def mlp(params: list[jax.Array], x: jax.Array, normalize: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """ReLU network in the NTK parametrisation."""
    for w in params[:-1]:
        x = jax.nn.relu(normalize(x @ w / math.sqrt(w.shape[0])))
    return x @ params[-1] / math.sqrt(params[-1].shape[0])


def scanned_mlp(params: list[jax.Array], x: jax.Array) -> jax.Array:
    """The same with BatchNorm, its hidden weights stacked."""
    first, hidden, readout = params

    def layer(h: jax.Array, w: jax.Array) -> tuple[jax.Array, None]:
        return jax.nn.relu(batch_norm(h)) @ w / math.sqrt(w.shape[0]), None

    h, _ = lax.scan(layer, x @ first / math.sqrt(x.shape[1]), hidden)
    return jax.nn.relu(batch_norm(h)) @ readout / math.sqrt(readout.shape[0])


def convolutional(params: list[jax.Array], x: jax.Array, normalize: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """3x3 convolutions, each but the first halving the image, and an average."""
    for i, w in enumerate(params[:-1]):
        strides = (1, 1) if i == 0 else (2, 2)
        h = lax.conv_general_dilated(x, w, strides, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.relu(normalize(h / math.sqrt(math.prod(w.shape[:3]))))
    return x.mean((1, 2)) @ params[-1] / math.sqrt(params[-1].shape[0])


def identity(h: jax.Array) -> jax.Array:
    """No normalisation."""
    return h


def dense_shapes(width: int, outputs: int) -> list[tuple[int, ...]]:
    """Three hidden layers on 784 features."""
    return [(784, width), (width, width), (width, width), (width, outputs)]


MLP = functools.partial(mlp, normalize=identity)
BN_MLP = functools.partial(mlp, normalize=batch_norm)
CNN = functools.partial(convolutional, normalize=identity)
BN_CNN = functools.partial(convolutional, normalize=functools.partial(batch_norm, axes=(0, 1, 2)))
KERNELS = [(3, 3, 3, 64), (3, 3, 64, 128), (3, 3, 128, 256), (3, 3, 256, 512), (512, 1)]
SETTINGS = [
    Setting("MLP 3 x 1024, 10 outputs", MLP, dense_shapes(1024, 10), (32, 784), 10, coupled=False),
    Setting("MLP 3 x 1024 with BatchNorm", BN_MLP, dense_shapes(1024, 1), (32, 784), 1, coupled=True),
    Setting("MLP 3 x 4096 with BatchNorm", BN_MLP, dense_shapes(4096, 1), (32, 784), 1, coupled=True),
    Setting(
        "50 layers x 300 with BatchNorm",
        scanned_mlp,
        [(784, 300), (49, 300, 300), (300, 1)],
        (32, 784),
        1,
        coupled=True,
    ),
    Setting("CNN 64-512", CNN, KERNELS, (8, 32, 32, 3), 1, coupled=False),
    Setting("CNN 64-512 with BatchNorm", BN_CNN, KERNELS, (8, 32, 32, 3), 1, coupled=True),
]


def jacobian_ntk(apply: Apply, coupled: bool) -> Apply:
    """The Jacobian, contracted; sample by sample where the batch is not coupled."""

    def ntk(params: Any, x: jax.Array) -> jax.Array:
        jacobian = (
            jax.jacrev(apply) if coupled else jax.vmap(jax.jacrev(lambda p, row: apply(p, row[None])[0]), (None, 0))
        )
        leaves = jax.tree.leaves(jacobian(params, x))
        return jnp.stack([jnp.einsum("bc...,dc...->bd", leaf, leaf) for leaf in leaves]).sum(0)

    return compiled()(ntk)


def vector_product_ntk(apply: Apply, coupled: bool) -> Apply | None:
    """neural-tangents' NTK-vector products; None where it is not installed. Its trace is a mean over the outputs."""
    try:
        library = nt_adapter.load()
    except ImportError:
        return None
    products = library.NtkImplementation.NTK_VECTOR_PRODUCTS
    ntk = library.empirical_ntk_fn(apply, trace_axes=(-1,), vmap_axes=None if coupled else 0, implementation=products)
    return compiled()(lambda params, x: ntk(x, None, params))


def ways(setting: Setting) -> dict[str, Callable[..., jax.Array]]:
    """Every way to the kernel of a setting that fits into memory."""
    parameters = sum(map(math.prod, setting.shapes))
    rows: dict[str, Callable[..., jax.Array]] = {"ntkcheck": functools.partial(empirical_ntk, setting.apply)}
    if not setting.coupled:
        rows["ntkcheck, batch_coupled=False"] = functools.partial(empirical_ntk, setting.apply, batch_coupled=False)
    if 4 * parameters * setting.inputs[0] * setting.outputs < LARGEST_JACOBIAN:
        rows["plain Jacobian"] = jacobian_ntk(setting.apply, setting.coupled)
        products = vector_product_ntk(setting.apply, setting.coupled)
        rows |= {"neural-tangents, NTK-vector products": products} if products else {}
    return rows


def median_seconds(ntk: Callable[[], jax.Array], budget: float = 10.0) -> float:
    """Median over at most 15 calls after the first one, or as many as fit into the budget."""
    jax.block_until_ready(ntk())
    times: list[float] = []
    while len(times) < 15 and (not times or sum(times) < budget):
        start = time.perf_counter()
        jax.block_until_ready(ntk())
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(setting: Setting) -> None:
    """Prints the setting's rows: seconds to compile and run once, median seconds, ratio to the plain Jacobian, difference."""
    keys = jax.random.split(jax.random.key(0), len(setting.shapes) + 1)
    x, *params = (
        jax.random.normal(key, shape) for key, shape in zip(keys, [setting.inputs, *setting.shapes], strict=True)
    )
    print(setting.name)
    results: dict[str, tuple[float, float, jax.Array]] = {}
    for name, ntk in ways(setting).items():
        start = time.perf_counter()
        kernel = jax.block_until_ready(ntk(params, x))
        first = time.perf_counter() - start
        results[name] = first, median_seconds(functools.partial(ntk, params, x)), kernel
    reference = results.get("plain Jacobian")
    for name, (first, median, kernel) in results.items():
        ratio, difference = "", ""
        if reference is not None:
            scale = setting.outputs if name.startswith("neural-tangents") else 1
            ratio = f"{reference[1] / median:8.1f} x"
            difference = f"{jnp.linalg.norm(scale * kernel - reference[2]) / jnp.linalg.norm(reference[2]):.0e}"
        print(f"  {name:38s} first {first:7.2f} s  median {median:8.4f} s {ratio:>10s}  {difference}", flush=True)


if __name__ == "__main__":
    for setting in SETTINGS:
        measure(setting)
