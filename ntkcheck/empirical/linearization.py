"""A network opened at its parameters: its outputs, the activations of its dense layers, and one pullback for everything else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr
from jaxtyping import Array, PyTree

from ntkcheck.empirical.sites import Dense, Site, find_site, uses
from ntkcheck.empirical.taps import evaluate


@dataclasses.dataclass(frozen=True)
class Network:
    """A traced network, its values, and where each parameter that it uses goes in."""

    jaxpr: ClosedJaxpr
    leaves: list[Array]
    x: Array
    sites: Mapping[int, Site | None]

    @property
    def batch(self) -> int:
        return self.x.shape[0]

    @property
    def outputs(self) -> int:
        return self.jaxpr.out_avals[0].shape[1]

    def dense_sites(self) -> dict[int, Dense]:
        """The sites whose gradients the general route leaves unformed."""
        return {i: site for i, site in self.sites.items() if isinstance(site, Dense)}

    def sample_sites(self) -> dict[int, Site] | None:
        """All sites, if each has the batch along its first axis."""
        found = {i: site for i, site in self.sites.items() if site is not None and site.leading == self.batch}
        return found if len(found) == len(self.sites) else None


@dataclasses.dataclass(frozen=True)
class Linearization:
    """The outputs, the recorded activations, and the map from an output's cotangent to those of taps and other parameters."""

    outputs: Array
    activations: dict[int, Array]
    pullback: Callable[[Array], tuple[dict[int, Array], dict[int, Array]]]


def trace(apply: Callable[..., Array], params: PyTree, x: Array) -> Network:
    """The network's jaxpr and the site of every parameter that it uses."""
    jaxpr, out = jax.make_jaxpr(apply, return_shape=True)(params, x)
    _check_outputs(out, x.shape[0])
    leaves = jax.tree.leaves(params)
    variables = {i: var for i, var in enumerate(jaxpr.jaxpr.invars[: len(leaves)]) if uses(jaxpr.jaxpr, var)}
    return Network(jaxpr, leaves, x, {i: find_site(jaxpr.jaxpr, var) for i, var in variables.items()})


def linearize(network: Network, tapped: Mapping[int, Site]) -> Linearization:
    """The network with taps at the given sites, differentiated in the taps and in every other parameter that it uses."""

    def transformed(taps: dict[int, Array], others: dict[int, Array]) -> tuple[Array, dict[int, Array]]:
        args = [*(others.get(i, leaf) for i, leaf in enumerate(network.leaves)), network.x]
        [outputs], activations = evaluate(network.jaxpr, args, taps)
        return outputs, activations

    taps = {i: jnp.zeros(site.tap_shape, site.dtype) for i, site in tapped.items()}
    others = {i: network.leaves[i] for i in network.sites if i not in tapped}
    outputs, pullback, activations = jax.vjp(transformed, taps, others, has_aux=True)
    return Linearization(outputs, activations, pullback)


def _check_outputs(out: Any, batch: int) -> None:
    shape = getattr(out, "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != batch:
        got = f"shape {shape}" if shape is not None else f"a {type(out).__name__}"
        raise ValueError(
            f"`apply` must return one array of shape (batch, outputs) with batch = {batch}, got {got}; "
            "reshape its output, for example with `y.reshape(x.shape[0], -1)`."
        )
