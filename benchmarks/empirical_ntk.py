"""Speed and memory of the empirical NTK against a plain Jacobian and neural-tangents, float32, full-precision products.

Run as `python -m benchmarks.empirical_ntk [part of a setting's name]`. All are compiled with the same options and run in turns;
times are medians. Memory is arguments, results and temporary arrays by the compiler's account. Without coupling the peers get a
Jacobian per sample, as they should. "Of the rate" is the counted operations of ntkcheck's matrix products and convolutions per
second, over those of a product of two 2048 x 2048 matrices. Where other programs take the processor, its own time says more.

Bounds, set before measuring: the same kernel within 1e-4; with BatchNorm at least 5 times faster than the fastest other way on the
MLPs and 1.5 times on ResNet-18, with less memory than each.
"""

import functools
import math
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ntkcheck import nt_adapter
from ntkcheck.compilation import known_options
from ntkcheck.empirical import empirical_ntk
from ntkcheck.empirical.memory import as_text, peak_bytes
from ntkcheck.models import make

LARGEST_JACOBIAN = 6e9  # bytes; what would need more is left out
OURS = "ntkcheck"
Apply = Callable[..., jax.Array]


class Setting(NamedTuple):
    """A network to measure, and how many times faster than the fastest other way it has to be."""

    name: str
    apply: Apply
    parameters: Callable[[], Any]
    inputs: tuple[int, ...]
    outputs: int
    coupled: bool
    bound: float | None = None


class Result(NamedTuple):
    """One way to a kernel: bytes, seconds of each run and of the processor in it, the kernel."""

    memory: int
    seconds: list[float]
    processor: list[float]
    kernel: jax.Array


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


def one_logit(model: Any, x: jax.Array) -> jax.Array:
    """The first logit of a reference network."""
    return model(x)[:, :1]


def resnet18() -> Any:
    """A reference network."""
    return make("resnet18", "batch_norm", key=jax.random.key(0))


def normal(*shapes: tuple[int, ...]) -> list[jax.Array]:
    """Standard Gaussian parameters."""
    keys = jax.random.split(jax.random.key(0), len(shapes))
    return [jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)]


def dense(width: int, outputs: int) -> Callable[[], Any]:
    """Parameters of three hidden layers on 784 features."""
    return functools.partial(normal, (784, width), (width, width), (width, width), (width, outputs))


MLP = functools.partial(mlp, normalize=identity)
BN_MLP = functools.partial(mlp, normalize=batch_norm)
CNN = functools.partial(convolutional, normalize=identity)
BN_CNN = functools.partial(convolutional, normalize=functools.partial(batch_norm, axes=(0, 1, 2)))
KERNELS = functools.partial(normal, (3, 3, 3, 64), (3, 3, 64, 128), (3, 3, 128, 256), (3, 3, 256, 512), (512, 1))
STACKED = functools.partial(normal, (784, 300), (49, 300, 300), (300, 1))
FLAT, IMAGES = (32, 784), (8, 32, 32, 3)
SETTINGS = [
    Setting("MLP 3 x 1024, 10 outputs", MLP, dense(1024, 10), FLAT, 10, coupled=False),
    Setting("MLP 3 x 1024 with BatchNorm", BN_MLP, dense(1024, 1), FLAT, 1, coupled=True, bound=5),
    Setting("MLP 3 x 4096 with BatchNorm", BN_MLP, dense(4096, 1), FLAT, 1, coupled=True, bound=5),
    Setting("50 layers x 300 with BatchNorm", scanned_mlp, STACKED, FLAT, 1, coupled=True),
    Setting("CNN 64-512", CNN, KERNELS, IMAGES, 1, coupled=False),
    Setting("CNN 64-512 with BatchNorm", BN_CNN, KERNELS, IMAGES, 1, coupled=True),
    Setting("CIFAR ResNet-18 with BatchNorm", one_logit, resnet18, IMAGES, 1, coupled=True, bound=1.5),
]


def jacobian_ntk(apply: Apply, coupled: bool) -> Apply:
    """The Jacobian, contracted; sample by sample where the batch is not coupled."""

    def ntk(params: Any, x: jax.Array) -> jax.Array:
        by_sample = jax.vmap(jax.jacrev(lambda p, row: apply(p, row[None])[0]), (None, 0))
        with jax.default_matmul_precision("highest"):
            leaves = jax.tree.leaves((jax.jacrev(apply) if coupled else by_sample)(params, x))
            return jnp.stack([jnp.einsum("bc...,dc...->bd", leaf, leaf) for leaf in leaves]).sum(0)

    return ntk


def peer_ntks(setting: Setting) -> dict[str, Apply]:
    """neural-tangents' two ways that work with this JAX; none where it is not installed. Its trace is a mean over outputs."""
    try:
        library = nt_adapter.load()
    except ImportError:
        return {}
    axes = None if setting.coupled else 0

    def ntk(implementation: Any) -> Apply:
        of = library.empirical_ntk_fn(setting.apply, trace_axes=(-1,), vmap_axes=axes, implementation=implementation)

        def scaled(params: Any, x: jax.Array) -> jax.Array:
            with jax.default_matmul_precision("highest"):
                return setting.outputs * of(x, None, params)

        return scaled

    ways = library.NtkImplementation
    return {
        "neural-tangents, Jacobian contraction": ntk(ways.JACOBIAN_CONTRACTION),
        "neural-tangents, NTK-vector products": ntk(ways.NTK_VECTOR_PRODUCTS),
    }


def ways(setting: Setting, parameters: int) -> dict[str, Apply]:
    """Every way to the kernel of a setting that fits into memory, ours first."""
    rows: dict[str, Apply] = {OURS: functools.partial(empirical_ntk, setting.apply, batch_coupled=setting.coupled)}
    if 4 * parameters * setting.inputs[0] * setting.outputs < LARGEST_JACOBIAN:
        rows["plain Jacobian"] = jacobian_ntk(setting.apply, setting.coupled)
        rows |= peer_ntks(setting)
    return rows


def operations(jaxpr: Any) -> float:
    """Multiplications and additions in the matrix products and convolutions of a program; a scan's as often as they are done."""
    total = 0.0
    for eqn in jaxpr.eqns:
        for inner in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda value: hasattr(value, "eqns")):
            total += eqn.params.get("length", 1) * operations(inner) if hasattr(inner, "eqns") else 0
        if eqn.primitive.name == "dot_general":
            contracted = eqn.params["dimension_numbers"][0][0]
            lhs = eqn.invars[0].aval.shape
            total += 2 * math.prod(eqn.outvars[0].aval.shape) * math.prod(lhs[axis] for axis in contracted)
        if eqn.primitive.name == "conv_general_dilated":
            kernel, axis = eqn.invars[1].aval.shape, eqn.params["dimension_numbers"].rhs_spec[0]
            skipped = math.prod(eqn.params["lhs_dilation"])  # products with the zeros between the samples
            total += 2 * math.prod(eqn.outvars[0].aval.shape) * math.prod(kernel) / kernel[axis] / skipped
    return total


def product_rate() -> float:
    """Operations per second in a product of two 2048 x 2048 matrices, the median of five."""
    a = jax.random.normal(jax.random.key(0), (2048, 2048))
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    product(a).block_until_ready()
    return 2 * 2048**3 / statistics.median(seconds(product, a)[0] for _ in range(5))


def seconds(function: Callable[..., Any], *args: Any) -> tuple[float, float]:
    """Time of one call, and that of the processor, all threads together."""
    start = time.perf_counter(), time.process_time()
    jax.block_until_ready(function(*args))
    return time.perf_counter() - start[0], time.process_time() - start[1]


def run_in_turns(programs: dict[str, Any], params: Any, x: jax.Array, budget: float = 15.0) -> dict[str, Result]:
    """At most fifteen rounds after the first; a way that has spent its budget of seconds is left out of the next."""
    results = {name: Result(peak_bytes(program), [], [], program(params, x)) for name, program in programs.items()}
    for _ in range(15):
        for name, program in programs.items():
            if sum(results[name].seconds) < budget:
                wall, processor = seconds(program, params, x)
                results[name].seconds.append(wall)
                results[name].processor.append(processor)
    return results


def measure(setting: Setting) -> None:
    """Prints the setting's rows: median seconds, those of the processor, memory, difference to the plain Jacobian's kernel."""
    params = setting.parameters()
    x = jax.random.normal(jax.random.key(1), setting.inputs)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
    programs = {
        name: jax.jit(ntk, compiler_options=known_options()).lower(params, x).compile()
        for name, ntk in ways(setting, parameters).items()
    }
    count, rate = operations(jax.make_jaxpr(ways(setting, 0)[OURS])(params, x).jaxpr), product_rate()
    results = run_in_turns(programs, params, x)
    print(setting.name)
    ours = results[OURS]
    reference = results.get("plain Jacobian", ours).kernel
    for name, result in results.items():
        difference = jnp.linalg.norm(result.kernel - reference) / jnp.linalg.norm(reference)
        times = statistics.median(result.seconds), statistics.median(result.processor)
        print(
            f"  {name:38s} {times[0]:9.4f} s {times[1]:9.4f} s {as_text(result.memory):>8s}   difference {difference:.0e}"
        )
    print(f"  {count / 1e9:.3g} Gflop, {count / statistics.median(ours.seconds) / rate:.0%} of the rate")
    others = [result for name, result in results.items() if name != OURS]
    if others:
        wall, processor = (
            min(statistics.median(getattr(other, kind)) for other in others) / statistics.median(getattr(ours, kind))
            for kind in ("seconds", "processor")
        )
        memory = min(other.memory for other in others) / ours.memory
        bound = f"; at least {setting.bound:g}" if setting.bound is not None else ""
        print(
            f"  {wall:.1f} times faster than the fastest ({processor:.1f} in processor time{bound}), memory {memory:.1f} times less"
        )
    sys.stdout.flush()


if __name__ == "__main__":
    for setting in SETTINGS:
        if " ".join(sys.argv[1:]) in setting.name:
            measure(setting)
