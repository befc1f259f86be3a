"""The normalisers by name, with what infinite-width theory has to know of each."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Array, Float

from ntkcheck.errors import unknown_name
from ntkcheck.normalizers.batch_norm import batch_norm
from ntkcheck.normalizers.groups import check_full_rank, check_group_size, check_groups
from ntkcheck.normalizers.iter_norm import check_iterations, iter_norm
from ntkcheck.normalizers.layer_norm import layer_norm
from ntkcheck.normalizers.whitening import cholesky, pca, zca

Function = Callable[[Float[Array, "batch features"]], Float[Array, "batch features"]]

WHITENINGS = {"zca": zca, "pca": pca, "cholesky": cholesky, "iter_norm": iter_norm}
FUNCTIONS = {"batch_norm": batch_norm, "layer_norm": layer_norm, **WHITENINGS}
NAMES = ("none", "weight_mean", *FUNCTIONS)


def identity(x: Float[Array, "batch features"]) -> Float[Array, "batch features"]:
    """No normalisation of the pre-activations."""
    return x


@dataclass(frozen=True)
class Normalizer:
    """One normaliser as a network uses it.

    Attributes:
        name: One of `NAMES`, or the name of the user's function, which is never one of them.
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
        if self.name in ("batch_norm", "iter_norm") and batch < 2:
            raise ValueError(f"`{self.name}` needs at least 2 samples in a batch, got {batch}; raise the batch size.")
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
        normalizer: One of `NAMES`, or the library's function of that name; the user's own function (batch, features) -> (batch,
            features); or a `Normalizer`, returned as it is.
        group_size: Features per group of the whitenings (16 unless given) or of the user's function (1 unless given).
        iterations: Newton steps of `iter_norm`.
        eps: Added to variances; 0 is the theory's case.

    Returns:
        The normaliser; for a name, the same object for the same arguments, so that it is compiled for once.

    Raises:
        ValueError: For an unknown name, with the nearest known one; for parameters outside their domain; for a function that
            cannot be hashed.
    """
    if isinstance(normalizer, Normalizer):
        return normalizer
    if callable(normalizer):
        known = next((name for name, function in FUNCTIONS.items() if normalizer is function), None)
        if known is None:
            return wrap(
                getattr(normalizer, "__name__", "function"), normalizer, 1 if group_size is None else group_size
            )
        normalizer = known
    if not isinstance(normalizer, str) or normalizer not in NAMES:
        raise unknown_name("normalizer", normalizer, NAMES)
    if not (math.isfinite(eps) and eps >= 0):
        raise ValueError(f"`eps` must be a finite number >= 0, got {eps!r}; 0 is the theory's case.")
    if normalizer in WHITENINGS:
        return _get_whitening(normalizer, 16 if group_size is None else group_size, iterations, float(eps))
    return _named(normalizer, float(eps))


def wrap(name: str, function: Function, group_size: int | None) -> Normalizer:
    """The user's `function` as a normaliser; a name that belongs to the library gets the prefix "user_".

    Raises:
        ValueError: If `group_size` is neither None nor a positive int, or the function cannot be hashed.
    """
    if group_size is not None:
        check_group_size(group_size)
    try:
        hash(function)
    except TypeError as error:
        raise ValueError(
            f"`normalizer` must be hashable, because compiled loops are kept by it, got a {type(function).__name__} that is "
            "not; pass a function that calls it."
        ) from error
    return Normalizer(f"user_{name}" if name in NAMES else name, function, group_size)


def _get_whitening(name: str, group_size: int, iterations: int, eps: float) -> Normalizer:
    # Checked before the cache, to which 16, 16.0 and numpy's 16 are the same argument.
    check_group_size(group_size)
    if name != "iter_norm":
        return _whitening(name, group_size, eps)
    check_iterations(iterations)
    return _iter_norm(group_size, iterations, eps)


@functools.cache
def _named(name: str, eps: float) -> Normalizer:
    if name in ("none", "weight_mean"):
        return Normalizer(name, identity, centred_weights=name == "weight_mean")
    function = FUNCTIONS[name]
    return Normalizer(
        name, functools.partial(function, eps=eps) if eps else function, None if name == "layer_norm" else 1
    )


@functools.cache
def _whitening(name: str, group_size: int, eps: float) -> Normalizer:
    return Normalizer(name, functools.partial(WHITENINGS[name], group_size=group_size, eps=eps), group_size)


@functools.cache
def _iter_norm(group_size: int, iterations: int, eps: float) -> Normalizer:
    function = functools.partial(iter_norm, group_size=group_size, iterations=iterations, eps=eps)
    return Normalizer("iter_norm", function, group_size, iterations=iterations)
