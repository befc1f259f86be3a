"""The normalisers that a disturbance run knows: those of one batch, and those that remember earlier batches."""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import jax
from jax import ShapeDtypeStruct

from ntkcheck import normalizers
from ntkcheck.errors import unknown_name
from ntkcheck.normalizers import Normalizer, SequenceNormalizer

Kind = Normalizer | SequenceNormalizer

ITERATED = ("iter_norm", "iter_norm_paper")
GROUPED = (*normalizers.WHITENINGS, "iter_norm_paper", "group_norm")
SEQUENCES: dict[str, Callable[[], SequenceNormalizer]] = {
    "moving_batch_norm": normalizers.moving_batch_norm,
    "memorized_batch_norm": normalizers.memorized_batch_norm,
    "mabn": normalizers.mabn,
    "power_norm": normalizers.power_norm,
}
NAMES = (
    *(name for name in normalizers.NAMES if name not in ("none", "weight_mean")),  # which normalise nothing in a batch
    *(name for name in ("iter_norm_paper", "group_norm", "scaled_batch_norm") if name not in normalizers.NAMES),
    *SEQUENCES,
)
OF_ONE_SAMPLE = ("layer_norm", "group_norm")  # statistics of each sample by itself: SND is 0
FACTORISED = ("zca", "pca", "cholesky")


def make(choice: Any, batch_size: int, features: int, group_size: int | None, iterations: int | None) -> Kind:
    """The normaliser of a name of `NAMES`, of path/to/file.py:function, or a function, checked on (batch_size, features).

    Args:
        choice: What is asked for.
        batch_size: m.
        features: d.
        group_size: g, features per group, for `GROUPED` alone.
        iterations: Newton steps, for `ITERATED` alone.

    Raises:
        ValueError: If there is no such normaliser, or it cannot act on such batches.
        FileNotFoundError: If its file does not exist.
    """
    if callable(choice) or is_file(choice):
        return _own(choice, file_digest(choice), batch_size, features)
    if choice not in NAMES:
        raise unknown_name("normalizer", choice, NAMES, "or give path/to/file.py:function")
    kind = _named(choice, group_size, iterations)
    if isinstance(kind, Normalizer):
        kind.check(batch_size, features)
        jax.eval_shape(kind.function, ShapeDtypeStruct((batch_size, features), float))  # for what it refuses itself
    return kind


def name_of(choice: Any) -> str:
    """What a choice is called: a name of `NAMES`, or the function's."""
    if isinstance(choice, str):
        return choice.rpartition(":")[2]
    return getattr(choice, "__name__", "function")


def is_file(choice: Any) -> bool:
    """Whether a choice is path/to/file.py:function."""
    return isinstance(choice, str) and ":" in choice


def file_digest(choice: Any) -> str | None:
    """What tells a normaliser's file from its former versions; None where there is no file."""
    path = Path(choice.rpartition(":")[0]) if is_file(choice) else None
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path and path.is_file() else None


@functools.lru_cache(maxsize=256)
def _own(choice: Any, _digest: str | None, batch_size: int, features: int) -> Normalizer:
    """The user's, once for every shape; its file is run anew when it has changed."""
    if is_file(choice):
        return normalizers.from_file(choice, batch_size, features)
    return normalizers.from_function(cast(normalizers.Function, choice), batch_size, features)


@functools.cache
def _named(name: str, group_size: int | None, iterations: int | None) -> Kind:
    """One object for the same arguments, so that it is compiled for once."""
    if name in SEQUENCES:
        return SEQUENCES[name]()
    if name in normalizers.NAMES:
        return normalizers.get(name, group_size, iterations or 5)
    options = {"group_size": group_size} if name in GROUPED else {}
    steps = {"iterations": iterations} if name in ITERATED else {}
    function = functools.partial(getattr(normalizers, name), **options, **steps)
    return Normalizer(name, function, group_size if name in GROUPED else 1, iterations=iterations)
