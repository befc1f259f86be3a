"""The exact empirical NTK of any network, without the Jacobian of its dense layers.

For y = a W, the gradient of output c of sample b in W is sum_m a[m] delta[b, c, m]^T with delta = d f / d y, so that the layer's
share of the kernel is sum_{c, m, k} (delta[b, c, m] . delta[b', c, k]) (a[m] . a[k]): no array of the weight's size is formed.
Activations a and derivatives delta come from taps in the network's jaxpr, wherever its layers are, and the positions m range over
all samples: the output of one may depend on another, as with BatchNorm.
"""

from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from ntkcheck.compilation import compiled, is_traced
from ntkcheck.empirical.contraction import (
    coupled_share,
    gram_saves,
    parameter_share,
    rowwise_share,
    samplewise_share,
)
from ntkcheck.empirical.coupling import couples_batch
from ntkcheck.empirical.linearization import Apply, Traced, linearize, trace
from ntkcheck.empirical.sites import Dense, Site


def empirical_ntk(
    apply: Apply,
    params: PyTree,
    x: Float[Array, "batch ..."],
    *,
    batch_coupled: bool | None = None,
    precision: str = "highest",
) -> Float[Array, "batch batch"]:
    """Empirical NTK of a network at its parameters, traced over the outputs.

    Theta[b, b'] = sum_c sum_theta (d f_c(x)_b / d theta) (d f_c(x)_{b'} / d theta)

    Exact for any network, batch-coupled or not. Weights that enter one matrix product or convolution (also inside jit, remat and
    scan, transposed, or times a number) cost no Jacobian; everything else gets one, an output at a time. With one pullback per
    sample and output, memory grows as batch^2 x width x layers. Where no sample depends on another and every parameter is such a
    weight, or a bias or scale, one pullback per output serves all samples.

    The network is compiled once for each `apply` object and each set of shapes: pass the same function for all seeds.

    Source: Jacot, Gabriel & Hongler 2018, section 4; the contraction is derived above.

    Args:
        apply: The network, `apply(params, x) -> (batch, outputs)`: a function, free of side effects. The kernel is that of its
            own parametrisation, so the factors 1 / sqrt(fan-in) belong into it.
        params: A pytree of floating arrays, all of which count as parameters.
        x: The batch of inputs, along the first axis.
        batch_coupled: Whether one sample's output may depend on another sample. None finds out by probing (see `couples_batch`)
            and takes the general route inside a transformation like `jax.jit`, where it cannot. False is taken at its word,
            along with the first axis of every layer being the batch: for a coupled network it gives another matrix.
        precision: Of matrix products, see `jax.default_matmul_precision`; also of those in `apply` that do not say. The default
            never falls back to TensorFloat-32.

    Returns:
        The kernel, symmetric up to rounding, in the dtype of parameters and outputs.

    Raises:
        ValueError: For parameters that are not floating arrays, an empty batch, outputs of another shape than (batch, outputs),
            and, outside transformations, outputs or derivatives that are not finite.
    """
    params, x = _checked(apply, params, x)
    traced = is_traced((params, x))
    if batch_coupled is None:
        batch_coupled = traced or bool(couples_batch(apply, params, x, precision=precision))
    kernel, outputs_are_finite = _kernel(apply, params, x, batch_coupled=batch_coupled, precision=precision)
    if not traced:
        _check_finite(kernel, outputs_are_finite)
    return kernel


@compiled("apply", "batch_coupled", "precision")
def _kernel(
    apply: Apply, params: PyTree, x: Array, batch_coupled: bool, precision: str
) -> tuple[Float[Array, "batch batch"], Bool[Array, ""]]:
    """The kernel, and whether the outputs are finite."""
    with jax.default_matmul_precision(precision):
        network = trace(apply, params, x)
        sites = None if batch_coupled else network.samplewise_sites()
        kernel, outputs = _coupled_kernel(network) if sites is None else _samplewise_kernel(network, sites)
        return kernel, jnp.isfinite(outputs).all()


def _coupled_kernel(network: Traced) -> tuple[Array, Array]:
    """One pullback per sample and output, one output at a time."""
    B, C = network.shape()
    sites = {i: site for i, site in network.sites.items() if isinstance(site, Dense) and gram_saves(site, B, C)}
    linear = linearize(network, sites)
    shares = {i: coupled_share(site, linear.activations[i], B) for i, site in sites.items()}

    def add_output(kernel: Array, c: Array) -> tuple[Array, None]:
        basis = jnp.eye(B)[:, :, None] * jax.nn.one_hot(c, C)
        derivatives, gradients = linear.pullbacks(basis.astype(linear.outputs.dtype))
        terms = [shares[i](delta) for i, delta in derivatives.items()]
        return sum([*terms, *map(parameter_share, gradients.values())], start=kernel), None

    return jax.lax.scan(add_output, _zero_kernel(network), jnp.arange(C))[0], linear.outputs


def _samplewise_kernel(network: Traced, sites: dict[int, Site]) -> tuple[Array, Array]:
    """One pullback per output serves all samples; as many outputs at a time as there are samples."""
    B, C = network.shape()
    linear = linearize(network, sites)
    shares = {
        i: samplewise_share(site, linear.activations[i], B, C) if isinstance(site, Dense) else rowwise_share(site)
        for i, site in sites.items()
    }

    def add_outputs(kernel: Array, chunk: Array) -> tuple[Array, None]:
        outputs = jax.nn.one_hot(chunk, C, dtype=linear.outputs.dtype)  # of an output beyond the last: zero
        derivatives, _ = linear.pullbacks(jnp.repeat(outputs[:, None], B, axis=1))
        return sum((shares[i](delta) for i, delta in derivatives.items()), start=kernel), None

    size = min(B, C)
    chunks = jnp.arange(-(-C // size) * size).reshape(-1, size)
    return jax.lax.scan(add_outputs, _zero_kernel(network), chunks)[0], linear.outputs


def _zero_kernel(network: Traced) -> Array:
    return jnp.zeros((network.shape()[0],) * 2, jnp.result_type(network.jaxpr.out_avals[0], *network.leaves))


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
