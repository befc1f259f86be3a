"""Models of which also the inputs of the normalisers are seen."""

import collections
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
from jaxtyping import Array

from ntkcheck.models import Model, Observe
from ntkcheck.models.layers import Activations, Norm

INPUT = " input"


class Site(NamedTuple):
    """What a normaliser met and made of it in one batch; without a normaliser, the pre-activations.

    Attributes:
        norm: The normaliser's place.
        input: Its input, or None where nothing normalises.
        output: Its output, before scale and shift.
    """

    norm: Norm
    input: Array | None
    output: Array


class Watched(eqx.Module):
    """A normaliser's place whose input is observed too."""

    norm: Norm

    def __call__(self, x: Activations, observe: Observe) -> Activations:
        """As the normaliser's place does."""
        return self.norm(observe(self.norm.name + INPUT, x), observe)


def map_norms(function: Callable[[Norm], Any], model: Model) -> Model:
    """The model with something else in the place of every normaliser."""
    return jax.tree.map(
        lambda node: function(node) if isinstance(node, Norm) else node,
        model,
        is_leaf=lambda node: isinstance(node, Norm),
    )


def norms(model: Model) -> dict[str, Norm]:
    """The normalisers' places by name, in the order of the model's fields."""
    nodes = jax.tree.leaves(model, is_leaf=lambda node: isinstance(node, Norm))
    return {node.name: node for node in nodes if isinstance(node, Norm)}


def site_arrays(model: Model, x: Array, precision: str) -> "collections.OrderedDict[str, Array]":
    """Outputs of all normalisers, in the order of computation, and inputs (names with `INPUT`) of those that do something."""
    watched = map_norms(lambda norm: norm if norm.function is None else Watched(norm), model)
    return watched.features(x, precision=precision)


def sites(model: Model, arrays: "collections.OrderedDict[str, Array]") -> dict[str, Site]:
    """The arrays of `site_arrays` by normaliser, in the order of computation."""
    places = norms(model)
    return {
        name: Site(places[name], arrays.get(name + INPUT), output)
        for name, output in arrays.items()
        if not name.endswith(INPUT)
    }
