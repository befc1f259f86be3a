"""What kind of parameter each is, and how far training moves them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.models import Model
from ntkcheck.models.layers import Affine, Norm


def kinds(model: Model) -> Any:
    """A tree like the model: "scale" and "shift" of its normalisers, "weight" of its layers, "other" for what remains."""

    def of_node(path: tuple[Any, ...], node: Any) -> Any:
        if isinstance(node, Norm):
            scale, shift = ("scale", "shift") if node.function is not None else ("other", "other")
            affine = Affine(_if_any(node.affine.scale, scale), _if_any(node.affine.shift, shift))
            return dataclasses.replace(node, affine=affine)
        return "weight" if path[-1] == jax.tree_util.GetAttrKey("weight") else "other"

    return jax.tree_util.tree_map_with_path(of_node, model, is_leaf=lambda node: isinstance(node, Norm))


def rate_factors(model: Model, scale_rate: float) -> Any:
    """Factors of the learning rate: `scale_rate` for the normalisers' scales, else 1."""
    return jax.tree.map(lambda kind: scale_rate if kind == "scale" else 1.0, kinds(model))


def displacements(before: Model, after: Model) -> dict[str, Float[Array, ""]]:
    """How far parameters have moved: root mean squares over all of a kind.

    scale_displacement and shift_displacement: of the normalisers' gamma - gamma_0 and beta - beta_0; weight_displacement: of
    W - W_0, over the root mean square of W_0. A kind that the model lacks is left out.
    """
    kind = jax.tree.leaves(kinds(before))
    pairs = list(zip(kind, jax.tree.leaves(before), jax.tree.leaves(after), strict=True))
    found = {}
    for name in ("scale", "shift", "weight"):
        moved = [(b - a).ravel() for k, a, b in pairs if k == name]
        if moved:
            found[f"{name}_displacement"] = _rms(moved)
    first = _rms([a.ravel() for k, a, _ in pairs if k == "weight"])
    return found | {"weight_displacement": found["weight_displacement"] / first}


def _rms(parts: list[Float[Array, " entries"]]) -> Float[Array, ""]:
    return jnp.sqrt(sum(jnp.sum(part**2) for part in parts) / sum(part.size for part in parts))


def _if_any(value: Array | None, kind: str) -> Any:
    return None if value is None else kind
