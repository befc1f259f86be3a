"""A network opened at its parameters: its outputs, the activations of its dense layers, and pullbacks to everything else."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxprs_in_params
from jax.extend.core import primitives as prim
from jaxtyping import Array, Float, PyTree

from ntkcheck.empirical.backward import suited_to_cpu
from ntkcheck.empirical.sites import Site, find_site, is_used
from ntkcheck.empirical.taps import evaluate

Apply = Callable[[Any, Array], Array]


class Traced(NamedTuple):
    """A network's jaxpr at its values, and the site of every parameter that it uses (None: not recognised)."""

    jaxpr: ClosedJaxpr
    leaves: list[Array]
    x: Array
    sites: Mapping[int, Site | None]

    def shape(self) -> tuple[int, int]:
        """Samples and outputs."""
        return self.jaxpr.out_avals[0].shape

    def outputs(self, output: int | None) -> tuple[int, ...]:
        """The outputs over which the kernel is traced: all, or one."""
        _, C = self.shape()
        if output is not None and not 0 <= output < C:
            raise ValueError(f"`output` must be the index of one of {C} outputs, from 0 to {C - 1}, got {output}.")
        return tuple(range(C)) if output is None else (output,)

    def dtype(self) -> Any:
        """Number type of the kernel."""
        return jnp.result_type(self.jaxpr.out_avals[0], *self.leaves)

    def samplewise_sites(self) -> dict[int, Site] | None:
        """The sites, if all are recognised and have the batch along their first axis."""
        found = {i: site for i, site in self.sites.items() if site is not None and site.leading == self.shape()[0]}
        return found if len(found) == len(self.sites) else None


class Linearization(NamedTuple):
    """Outputs, recorded activations, and the pullbacks of a stack of cotangents to the taps and to the other parameters.

    What goes to a tap has the cotangents' axis after those of the site's stack; what goes to a parameter has it first.
    """

    outputs: Array
    activations: dict[int, Array]
    pullbacks: Callable[[Float[Array, "cotangents batch outputs"]], tuple[dict[int, Array], dict[int, Array]]]


def trace(apply: Apply, params: PyTree, x: Array) -> Traced:
    """The jaxpr of a network, and where its parameters go in."""
    jaxpr, out = jax.make_jaxpr(apply, return_shape=True)(params, x)
    _check_outputs(out, x.shape[0])
    leaves = jax.tree.leaves(params)
    variables = enumerate(jaxpr.jaxpr.invars[: len(leaves)])
    # A leaf without elements, the stack of no layers, has no share.
    used = {i: var for i, var in variables if leaves[i].size and is_used(jaxpr.jaxpr, var)}
    return Traced(jaxpr, leaves, x, {i: find_site(jaxpr.jaxpr, var) for i, var in used.items()})


def linearize(network: Traced, tapped: Mapping[int, Site]) -> Linearization:
    """The network with taps at the given sites, differentiated in the taps and in every other parameter that it uses."""
    outputs, pullback, activations = _vjp(network, tapped)
    axes = {i: len(site.stack) for i, site in tapped.items()}
    if in_turn(network):
        return Linearization(outputs, activations, one_by_one(pullback, axes))
    return Linearization(outputs, activations, suited_to_cpu(jax.vmap(pullback, out_axes=(axes, 0))))


def one_by_one(pullback: Callable[[Array], tuple[dict[int, Array], dict[int, Array]]], axes: Mapping[int, int]):
    """The pullbacks of a stack of cotangents, one after the other: convolutions keep the shapes that cuDNN is made for."""

    def pullbacks(cotangents: Array) -> tuple[dict[int, Array], dict[int, Array]]:
        at_taps, gradients = jax.lax.map(pullback, cotangents)
        return {i: jnp.moveaxis(delta, 0, axes[i]) for i, delta in at_taps.items()}, gradients

    return pullbacks


def in_turn(network: Traced) -> bool:
    """Whether pullbacks are taken one after the other: those of convolutions, but on CPUs, where a stack of them is faster."""
    return jax.default_backend() != "cpu" and has_convolutions(network.jaxpr.jaxpr)


def has_convolutions(jaxpr: Jaxpr) -> bool:
    """Whether there is a convolution anywhere in it."""
    return any(
        eqn.primitive is prim.conv_general_dilated_p or any(map(has_convolutions, jaxprs_in_params(eqn.params)))
        for eqn in jaxpr.eqns
    )


def residuals(network: Traced, tapped: Mapping[int, Site]) -> list[jax.ShapeDtypeStruct]:
    """What the pullbacks of `linearize` hold of the forward pass, without computing it."""
    return jax.eval_shape(lambda: jax.tree.leaves(_vjp(network, tapped)[1]))


def _vjp(network: Traced, tapped: Mapping[int, Site]) -> tuple[Array, Any, dict[int, Array]]:
    def transformed(taps: dict[int, Array], others: dict[int, Array]) -> tuple[Array, dict[int, Array]]:
        args = [*(others.get(i, leaf) for i, leaf in enumerate(network.leaves)), network.x]
        [outputs], activations = evaluate(network.jaxpr, args, taps)
        return outputs, activations

    taps = {i: jnp.zeros(site.tap_shape(), site.dtype) for i, site in tapped.items()}
    others = {i: network.leaves[i] for i in network.sites if i not in tapped}
    return jax.vjp(transformed, taps, others, has_aux=True)


def _check_outputs(out: Any, batch: int) -> None:
    if not isinstance(out, jax.ShapeDtypeStruct):
        raise ValueError(f"`apply` must return one array of shape (batch, outputs), got a {type(out).__name__}.")
    if len(out.shape) != 2 or out.shape[0] != batch:
        raise ValueError(
            f"`apply` must return an array of shape (batch, outputs) with batch = {batch}, got shape {out.shape}; "
            "flatten what belongs to a sample, for example with `y.reshape(x.shape[0], -1)`."
        )
    if not jnp.issubdtype(out.dtype, jnp.floating):
        raise ValueError(f"`apply` must return floating numbers, got {out.dtype}; return the logits, not the classes.")
