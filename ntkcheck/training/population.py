"""Networks with the statistics of a population in place of a batch's, as they are tested.

Reference models are stateless: there are no moving averages. After training, one large batch of training images goes through the
network with the statistics of that batch, and every normaliser keeps them ("precise" statistics). So each layer's are those that it
has when the layers before it are normalised by the same population: on that batch itself the frozen network is the trained one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ntkcheck.compilation import compiled
from ntkcheck.models import Model, Observe
from ntkcheck.models import norms as functions
from ntkcheck.models.layers import Activations, Affine, Norm
from ntkcheck.models.norms import largest_divisor
from ntkcheck.normalizers.groups import covariance
from ntkcheck.normalizers.iter_norm import newton_inverse_root
from ntkcheck.reference.watched import INPUT, Watched, map_norms, norms


class Statistics(NamedTuple):
    """What a normaliser keeps: y = (x - mean) root, group by group; BatchNorm's groups are of one channel."""

    mean: Float[Array, " channels"]
    root: Float[Array, "groups group group"]


class Frozen(eqx.Module):
    """A normaliser's place with kept statistics."""

    statistics: Statistics
    affine: Affine
    name: str = eqx.field(static=True)

    def __call__(self, x: Activations, observe: Observe) -> Activations:
        """The normalised, observed and rescaled activations."""
        mean, root = self.statistics
        groups = (x - mean).reshape(-1, *root.shape[:2])
        normalized = jnp.einsum("ngi,gij->ngj", groups, root).reshape(x.shape)
        return self.affine(observe(self.name, normalized))


@compiled("precision")
def statistics(model: Model, x: Array, precision: str) -> dict[str, Statistics]:
    """What the normalisers of batch statistics keep of one batch, by name.

    Args:
        model: A trained model.
        x: The batch.
        precision: Of convolutions and matrix products.
    """
    kept = {name: norm for name, norm in norms(model).items() if _kind(norm) in INVERSE_ROOTS}
    found: dict[str, Statistics] = {}

    def observe(name: str, h: Array) -> Array:
        if name.endswith(INPUT):
            place = name.removesuffix(INPUT)
            found[place] = _of_batch(kept[place], h)
        return h

    watched = map_norms(lambda norm: Watched(norm) if norm.name in kept else norm, model)
    watched(x, precision=precision, observe=observe)
    return found


def freeze(model: Model, found: dict[str, Statistics]) -> Model:
    """The model with kept statistics in place of a batch's."""
    return map_norms(
        lambda norm: Frozen(found[norm.name], norm.affine, norm.name) if norm.name in found else norm, model
    )


def _of_batch(norm: Norm, x: Activations) -> Statistics:
    options = norm.function.keywords  # pyright: ignore[reportOptionalMemberAccess, reportFunctionMemberAccess]
    rows = x.reshape(-1, x.shape[-1])
    mean = jnp.mean(rows, axis=0)
    size = largest_divisor(rows.shape[1], options.get("group_size", 1))
    groups = jnp.moveaxis((rows - mean).reshape(len(rows), -1, size), 1, 0)
    inverse_root = INVERSE_ROOTS[_kind(norm)]
    return Statistics(mean, lax.map(lambda group: inverse_root(covariance(group, options["eps"]), options), groups))


def _kind(norm: Norm) -> Any:
    return getattr(norm.function, "func", None)


def _standardizing(sigma: Float[Array, "1 1"], _: dict[str, Any]) -> Float[Array, "1 1"]:
    return lax.rsqrt(sigma)


def _whitening(sigma: Float[Array, "group group"], _: dict[str, Any]) -> Float[Array, "group group"]:
    eigenvalues, basis = jnp.linalg.eigh(sigma)
    return (basis / jnp.sqrt(eigenvalues)) @ basis.T


def _iterated(sigma: Float[Array, "group group"], options: dict[str, Any]) -> Float[Array, "group group"]:
    trace = jnp.trace(sigma)
    return newton_inverse_root(sigma / trace, options["iterations"]) / jnp.sqrt(trace)


INVERSE_ROOTS: dict[Any, Callable[[Array, dict[str, Any]], Array]] = {
    functions.batch_norm: _standardizing,
    functions.zca: _whitening,
    functions.iter_norm: _iterated,
}
