"""The normalisers by name, with what infinite-width theory has to know of each."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Array, Float

from ntkcheck.errors import unknown_name
from ntkcheck.normalizers.batch_norm import batch_norm
from ntkcheck.normalizers.groups import check_full_rank, check_groups
from ntkcheck.normalizers.iter_norm import iter_norm
from ntkcheck.normalizers.layer_norm import layer_norm
from ntkcheck.normalizers.whitening import cholesky, pca, zca

Function = Callable[[Float[Array, "batch features"]], Float[Array, "batch features"]]

WHITENINGS = {"zca": zca, "pca": pca, "cholesky": cholesky, "iter_norm": iter_norm}
NAMES = ("none", "weight_mean", "batch_norm", "layer_norm", *WHITENINGS)


def identity(x: Float[Array, "batch features"]) -> Float[Array, "batch features"]:
    """No normalisation of the pre-activations."""
    return x


@dataclass(frozen=True)
class Normalizer:
    """One normaliser as a network uses it.

    Attributes:
        name: One of `NAMES`, or the name of the user's function.
        function: What is applied to pre-activations (batch, features).
        group_size: Number of features that the function couples with each other (1 for BatchNorm); None for all features
            of a sample, as in LayerNorm.
        centred_weights: Whether the weights of every normalised layer are centred (weight mean).
        iterations: Newton steps, for `iter_norm` alone.
    """

    name: str
    function: Function
    group_size: int | None = 1
    centred_weights: bool = False
    iterations: int | None = None

    def check(self, batch: int, features: int) -> None:
        """Raise ValueError, before any long work, if the normaliser cannot act on (batch, features)."""
        if self.name == "batch_norm" and batch < 2:
            raise ValueError(f"`batch_norm` needs at least 2 samples in a batch, got {batch}; raise the batch size.")
        if self.group_size is not None:
            check_groups(features, self.group_size)
        if self.group_size is not None and self.name in ("zca", "pca", "cholesky"):
            check_full_rank(batch, self.group_size, self.name)
        if self.name == "layer_norm" and features < 2:
            raise ValueError(f"`layer_norm` needs at least 2 features, got {features}; raise the width.")


def get(
    normalizer: "str | Function | Normalizer", group_size: int | None = None, iterations: int = 5, eps: float = 0.0
) -> Normalizer:
    """The normaliser of a name, or the user's own function wrapped.

    Args:
        normalizer: One of `NAMES`; a function (batch, features) -> (batch, features); or a `Normalizer`, returned as it is.
        group_size: Features per group of the whitenings (16 unless given) or of the user's function (1 unless given).
        iterations: Newton steps of `iter_norm`.
        eps: Added to variances; 0 is the theory's case.

    Raises:
        ValueError: For an unknown name, with the nearest known one.
    """
    if isinstance(normalizer, Normalizer):
        return normalizer
    if callable(normalizer):
        return Normalizer(getattr(normalizer, "__name__", "function"), normalizer, group_size or 1)
    if normalizer in WHITENINGS:
        return _whitening(normalizer, 16 if group_size is None else group_size, iterations, eps)
    if normalizer == "none":
        return Normalizer("none", identity)
    if normalizer == "weight_mean":
        return Normalizer("weight_mean", identity, centred_weights=True)
    if normalizer == "batch_norm":
        return Normalizer("batch_norm", functools.partial(batch_norm, eps=eps) if eps else batch_norm)
    if normalizer == "layer_norm":
        return Normalizer("layer_norm", functools.partial(layer_norm, eps=eps) if eps else layer_norm, group_size=None)
    raise unknown_name("normalizer", normalizer, NAMES)


@functools.cache
def _whitening(name: str, group_size: int, iterations: int, eps: float) -> Normalizer:
    parameters = {"group_size": group_size, "eps": eps}
    if name != "iter_norm":
        return Normalizer(name, functools.partial(WHITENINGS[name], **parameters), group_size)
    function = functools.partial(iter_norm, iterations=iterations, **parameters)
    return Normalizer(name, function, group_size, iterations=iterations)
