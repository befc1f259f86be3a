"""The exact empirical NTK of any network, without the Jacobian of its dense layers.

For y = a W, the gradient of output c of sample b in W is sum_m a[m] delta[b, c, m]^T with delta = d f / d y, so that the layer's
share of the kernel is sum_{c, m, k} (delta[b, c, m] . delta[b', c, k]) (a[m] . a[k]): no array of the weight's size is formed.
Activations a and derivatives delta come from taps in the network's jaxpr, wherever its layers are, and the positions m range over
all samples: the output of one may depend on another, as with BatchNorm.
"""

import functools
from collections.abc import Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.stages import Compiled
from jaxtyping import Array, Bool, Float, PyTree

from ntkcheck.compilation import compiled, is_traced
from ntkcheck.empirical.coupling import couples_batch
from ntkcheck.empirical.linearization import Apply, trace
from ntkcheck.empirical.memory import Candidate, as_bytes, first_within
from ntkcheck.empirical.rows import AXIS, Split, coupled_kernel
from ntkcheck.empirical.samples import samplewise_kernel
from ntkcheck.empirical.splits import candidates, whole


def empirical_ntk(
    apply: Apply,
    params: PyTree,
    x: Float[Array, "batch ..."],
    *,
    output: int | None = None,
    batch_coupled: bool | None = None,
    memory: int | str | None = None,
    devices: Sequence[Any] | None = None,
    precision: str = "highest",
) -> Float[Array, "batch batch"]:
    """Empirical NTK of a network at its parameters, of one output or traced over the outputs.

    Theta[b, b'] = sum_c sum_theta (d f_c(x)_b / d theta) (d f_c(x)_{b'} / d theta)

    Exact for any network, batch-coupled or not. Weights that enter one matrix product or convolution (also in groups of channels,
    inside jit, remat and scan, transposed, times a number, or without their mean) cost no Jacobian where counted operations say
    that the Gram matrix of the activations is cheaper; everything else gets its gradients, an output at a time. With one pullback
    per sample and output, memory grows as batch^2 x width x layers, unless it is limited. Where no sample depends on another and
    every parameter is such a weight, or a bias or scale, one pullback per output serves all samples.

    The network is compiled once for each `apply` object and each set of shapes: pass the same function for all seeds.

    Source: Jacot, Gabriel & Hongler 2018, section 4; the contraction is derived above.

    Args:
        apply: The network, `apply(params, x) -> (batch, outputs)`: a function, free of side effects. The kernel is that of its
            own parametrisation, so the factors 1 / sqrt(fan-in) belong into it.
        params: A pytree of floating arrays, all of which count as parameters.
        x: The batch of inputs, along the first axis.
        output: The only output c to be counted, from 0; None sums over all.
        batch_coupled: Whether one sample's output may depend on another sample. None finds out by probing (see `couples_batch`)
            and takes the general route inside a transformation like `jax.jit`, where it cannot. False is taken at its word,
            along with the first axis of every layer being the batch: for a coupled network it gives another matrix.
        memory: What the program may take on each device, parameters and inputs included: bytes, or a text like "4GB" or
            "512 MiB". Rows of the kernel are then pulled back in as large chunks as fit and, where not all fit, more than once.
            The compiler's own account of the program is held against it before anything runs; the compiler's and Python's own
            memory is not in it. None takes all rows at once.
        devices: Devices among which the rows are shared out, each with all of the network; None leaves the choice to JAX.
        precision: Of matrix products, see `jax.default_matmul_precision`; also of those in `apply` that do not say. The default
            never falls back to TensorFloat-32.

    Returns:
        The kernel, symmetric up to rounding, in the dtype of parameters and outputs.

    Raises:
        ValueError: For parameters that are not floating arrays, an empty batch, outputs of another shape than (batch, outputs), an
            output that does not exist, a budget that is not an amount of memory or that cannot be met (with what would do), no
            devices, and, outside transformations, outputs or derivatives that are not finite.
    """
    params, x = _checked(apply, params, x)
    budget, mesh = as_bytes(memory), _mesh(devices)
    traced = is_traced((params, x))
    if traced and budget is not None:
        raise ValueError(
            "`memory` must be None inside a transformation like `jax.jit`, which compiles the program itself."
        )
    if batch_coupled is None:
        batch_coupled = traced or _probed(apply, params, x, budget, precision)
    if mesh is not None and not traced:
        params, x = jax.device_put((params, x), NamedSharding(mesh, PartitionSpec()))
    if budget is None:
        split = whole(x.shape[0], 1 if mesh is None else mesh.size, batch_coupled)
        kernel, finite = _kernel(apply, params, x, output, batch_coupled, split, mesh, precision)
    else:
        leaves, tree = jax.tree.flatten((params, x))
        program = _program_within(budget, apply, tree, _shapes(leaves), output, batch_coupled, mesh, precision)
        kernel, finite = program(params, x)
    if not traced:
        _check_finite(kernel, finite)
    return kernel


@compiled("apply", "output", "batch_coupled", "split", "mesh", "precision")
def _kernel(
    apply: Apply,
    params: PyTree,
    x: Array,
    output: int | None,
    batch_coupled: bool,
    split: Split,
    mesh: Mesh | None,
    precision: str,
) -> tuple[Float[Array, "batch batch"], Bool[Array, ""]]:
    """The kernel, and whether the outputs are finite."""
    with jax.default_matmul_precision(precision):
        network = trace(apply, params, x)
        outputs = network.outputs(output)
        if not batch_coupled and network.samplewise_sites() is not None:
            return samplewise_kernel(apply, params, x, outputs, split.chunk, mesh)
        kernel, values = coupled_kernel(network, outputs, split, mesh)
        return kernel, jnp.isfinite(values).all()


@functools.lru_cache(maxsize=16)
def _program_within(
    budget: int,
    apply: Apply,
    tree: Any,
    shapes: tuple[jax.ShapeDtypeStruct, ...],
    output: int | None,
    batch_coupled: bool,
    mesh: Mesh | None,
    precision: str,
) -> Compiled:
    """The fastest program for the kernel that is within the budget."""
    params, x = jax.tree.unflatten(tree, shapes)

    def build(split: Split) -> Compiled:
        return (
            vars(_kernel)["program"]().lower(apply, params, x, output, batch_coupled, split, mesh, precision).compile()
        )

    found: list[Candidate[Split]] = []

    def estimate(params: PyTree, x: Array) -> Array:
        network = trace(apply, params, x)
        coupled = batch_coupled or network.samplewise_sites() is None
        devices = 1 if mesh is None else mesh.size
        found.extend(candidates(network, len(network.outputs(output)), devices, coupled))
        return x

    jax.eval_shape(estimate, params, x)
    return first_within(budget, found, build)


def _probed(apply: Apply, params: PyTree, x: Array, budget: int | None, precision: str) -> bool:
    """Whether samples see each other, found out within the budget."""
    if budget is None:
        return bool(couples_batch(apply, params, x, precision=precision))
    leaves, tree = jax.tree.flatten((params, x))
    return bool(_probe_within(budget, apply, tree, _shapes(leaves), precision)(params, x))


@functools.lru_cache(maxsize=16)
def _probe_within(
    budget: int, apply: Apply, tree: Any, shapes: tuple[jax.ShapeDtypeStruct, ...], precision: str
) -> Compiled:
    params, x = jax.tree.unflatten(tree, shapes)
    program = vars(couples_batch)["program"]().lower(apply, params, x, precision=precision, one_by_one=True).compile()
    return first_within(budget, [Candidate(None, 0.0)], lambda _: program)


def _shapes(leaves: list[Array]) -> tuple[jax.ShapeDtypeStruct, ...]:
    return tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding) for leaf in leaves)


def _mesh(devices: Sequence[Any] | None) -> Mesh | None:
    """One axis of devices, or None for whichever JAX takes."""
    if devices is None:
        return None
    if not len(devices):
        raise ValueError("`devices` must name at least one device, got none; `jax.devices()` lists them.")
    return Mesh(np.array(devices), (AXIS,))


def _checked(apply: Apply, params: PyTree, x: Any) -> tuple[PyTree, Array]:
    """Parameters and inputs as arrays, or a ValueError."""
    if not isinstance(apply, Hashable):
        raise ValueError("`apply` must be hashable, as functions are; hand arrays that it holds over through `params`.")
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if not leaves:
        raise ValueError("`params` must hold at least one array of floating numbers, got an empty tree.")
    for path, leaf in leaves:
        dtype = jnp.result_type(leaf)
        if not jnp.issubdtype(dtype, jnp.floating):
            name = f"params{jax.tree_util.keystr(path)}"
            raise ValueError(
                f"`params` must hold floating numbers only, got {dtype} at {name}; let `apply` close over what is not trained."
            )
    if jnp.shape(x)[:1] in ((), (0,)):
        raise ValueError(f"`x` must hold at least one sample along its first axis, got shape {jnp.shape(x)}.")
    return jax.tree.map(jnp.asarray, params), jnp.asarray(x)


def _check_finite(kernel: Array, outputs_are_finite: Array) -> None:
    cause = "a feature that is constant over the batch, or parameters that overflow, are the usual causes."
    if not outputs_are_finite:
        raise ValueError(f"`apply(params, x)` must be finite, got NaN or infinity among the outputs; {cause}")
    if not jnp.isfinite(kernel).all():
        raise ValueError(
            f"`apply` must have finite derivatives at `params`, got NaN or infinity in the kernel; {cause}"
        )
