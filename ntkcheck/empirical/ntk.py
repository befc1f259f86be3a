"""The exact empirical NTK of any network, without the Jacobian of its dense layers.

For y = a W the gradient of output c of sample b is sum_m a[m] delta[bc, m]^T with delta = d f / d y, so the layer's share of the
kernel is sum_{m, k} (delta[b, m] . delta[d, k]) (a[m] . a[k]): no array of the weight's size is formed. The activations a and
cotangents delta come from taps in the network's jaxpr, wherever the layers are; samples may depend on each other (BatchNorm).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from ntkcheck.empirical.contraction import coupled_share, parameter_share, rowwise_share, samplewise_share
from ntkcheck.empirical.linearization import Linearization, Network, linearize, trace
from ntkcheck.empirical.sites import Dense, Site

Apply = Callable[..., Array]


def empirical_ntk(
    apply: Apply,
    params: PyTree[Float[Array, "..."]],
    x: Float[Array, "batch ..."],
    *,
    batch_coupled: bool | None = None,
    precision: str = "highest",
) -> Float[Array, "batch batch"]:
    _check_arguments(apply, params, x)
    abstract = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((params, x)))
    if batch_coupled is None:
        batch_coupled = abstract or bool(couples_batch(apply, params, x, precision=precision))
    kernel, outputs_finite = _kernel(apply, params, x, batch_coupled, precision)
    if not abstract:
        _check_finite(kernel, outputs_finite)
    return kernel


@functools.partial(jax.jit, static_argnames=("apply", "precision"))
def couples_batch(apply: Apply, params: PyTree, x: Array, *, precision: str = "highest") -> Bool[Array, ""]:
    with jax.default_matmul_precision(precision):
        network = trace(apply, params, x)
        sites = network.sample_sites()
        if sites is None:
            return jnp.array(True)
        linear = linearize(network, sites)
        chosen = _separating_subsets(network.batch)
        weights = jax.random.normal(jax.random.key(0), linear.outputs.shape, linear.outputs.dtype)
        derivatives, _ = jax.vmap(linear.pullback)(jnp.where(chosen[:, :, None], weights, 0))
        leaks = [_leaks(sites[i], delta, chosen) for i, delta in derivatives.items()]
        return functools.reduce(jnp.logical_or, leaks)


def _separating_subsets(batch: int) -> Bool[Array, "subsets batch"]:
    """Few subsets such that for any two samples one contains the first and not the second (Sperner: all of half size)."""
    count = next(n for n in itertools.count(1) if math.comb(n, n // 2) >= batch)
    codes = list(itertools.islice(itertools.combinations(range(count), count // 2), batch))
    return jnp.array([[subset in code for code in codes] for subset in range(count)])


def _leaks(site: Site, delta: Array, chosen: Bool[Array, "subsets batch"]) -> Bool[Array, ""]:
    """Whether a tap in the row of one sample reaches the output of another."""
    subsets, batch = chosen.shape
    depth = math.prod(site.stack)
    rows = delta.reshape(subsets, depth, batch, -1) != 0
    return jnp.any(rows.any((1, 3)) & ~chosen)


@functools.partial(jax.jit, static_argnums=(0, 3, 4))
def _kernel(
    apply: Apply, params: PyTree, x: Array, batch_coupled: bool, precision: str
) -> tuple[Float[Array, "batch batch"], Bool[Array, ""]]:
    with jax.default_matmul_precision(precision):
        network = trace(apply, params, x)
        sites = None if batch_coupled else network.sample_sites()
        kernel, outputs = _coupled_kernel(network) if sites is None else _samplewise_kernel(network, sites)
        return kernel, jnp.isfinite(outputs).all()


def _coupled_kernel(network: Network) -> tuple[Array, Array]:
    """One pullback per sample and output, one output at a time."""
    sites = network.dense_sites()
    linear = linearize(network, sites)
    B, C = linear.outputs.shape
    shares = {i: coupled_share(site, linear.activations[i], B, C) for i, site in sites.items()}

    def add_output(kernel: Array, c: Array) -> tuple[Array, None]:
        basis = jnp.eye(B, dtype=kernel.dtype)[:, :, None] * jax.nn.one_hot(c, C, dtype=kernel.dtype)
        derivatives, gradients = jax.vmap(linear.pullback)(basis)
        terms = [shares[i](delta) for i, delta in derivatives.items()]
        return sum([*terms, *map(parameter_share, gradients.values())], start=kernel), None

    zero = jnp.zeros((B, B), linear.outputs.dtype)
    return jax.lax.scan(add_output, zero, jnp.arange(C))[0], linear.outputs


def _samplewise_kernel(network: Network, sites: dict[int, Site]) -> tuple[Array, Array]:
    """One pullback per output serves all samples; as many outputs at a time as there are samples."""
    linear = linearize(network, sites)
    B, C = linear.outputs.shape
    shares = {
        i: samplewise_share(site, linear.activations[i], B, C) if isinstance(site, Dense) else rowwise_share(site)
        for i, site in sites.items()
    }

    def add_outputs(kernel: Array, chunk: Array) -> tuple[Array, None]:
        basis = jax.nn.one_hot(chunk, C, dtype=kernel.dtype)[:, None, :]
        derivatives, _ = jax.vmap(linear.pullback)(jnp.broadcast_to(basis, (len(chunk), B, C)))
        return sum((shares[i](delta) for i, delta in derivatives.items()), start=kernel), None

    chunks = jnp.arange(-(-C // B) * B).reshape(-1, B) if C > B else jnp.arange(C)[None]
    zero = jnp.zeros((B, B), linear.outputs.dtype)
    return jax.lax.scan(add_outputs, zero, chunks)[0], linear.outputs
