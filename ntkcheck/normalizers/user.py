"""A user's own normaliser, from a file, checked before it is used."""

import importlib.util
from pathlib import Path
from typing import cast

import jax
import jax.numpy as jnp

from ntkcheck.errors import nearest
from ntkcheck.normalizers.registry import Function, Normalizer


def from_file(spec: str, batch: int, features: int) -> Normalizer:
    """Load `path/to/file.py:function` and check that it is a normaliser.

    The function is tried on a Gaussian batch: it must return a finite array of the same shape. The features that it couples
    with each other are found by differentiating it: one feature is moved, and those that answer form its group.

    Args:
        spec: Path of a Python file, a colon, and the name of a function (batch, features) -> (batch, features) in it.
        batch: Batch size that the function will meet.
        features: Number of features that it will meet.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be run, has no such function, or the function fails, changes the shape or returns
            values that are not finite.
    """
    path, _, name = spec.rpartition(":")
    if not path or not name:
        raise ValueError(f"`normalizer` must read path/to/file.py:function, got {spec!r}.")
    function = _load(Path(path), name)
    x = jax.random.normal(jax.random.key(0), (batch, features), dtype=jnp.result_type(float))
    _try(function, x, spec)
    coupled = coupled_features(function, x)
    return Normalizer(name, function, None if coupled == features and features > 1 else coupled)


def coupled_features(function: Function, x: jax.Array) -> int:
    """Number of output features that answer when the first input feature of the batch `x` moves.

    Source: a derivative that is exactly zero means that the feature does not enter.
    """
    tangent = jnp.zeros_like(x).at[:, 0].set(jax.random.normal(jax.random.key(1), x.shape[:1], x.dtype))
    _, answer = jax.jvp(function, (x,), (tangent,))
    return max(1, int(jnp.sum(jnp.any(answer != 0, axis=0))))


def _load(path: Path, name: str) -> Function:
    if not path.is_file():
        raise FileNotFoundError(f"`normalizer` names the file {str(path)!r}, which does not exist.")
    module_spec = importlib.util.spec_from_file_location(path.stem, path)
    if module_spec is None or module_spec.loader is None:
        raise ValueError(f"`normalizer` must name a Python file (.py), got {str(path)!r}.")
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"`normalizer`: running {str(path)!r} raised {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        suggestion = nearest(name, known)
        remedy = f"did you mean {suggestion!r}?" if suggestion else f"it has {', '.join(known) or 'none'}."
        raise ValueError(f"`normalizer`: {str(path)!r} has no function {name!r}; {remedy}")
    return cast(Function, function)


def _try(function: Function, x: jax.Array, spec: str) -> None:
    where = f"`normalizer` {spec!r} on a standard Gaussian batch of shape {x.shape}"
    try:
        y = function(x)
        jax.jvp(function, (x,), (x,))
    except Exception as error:
        raise ValueError(f"{where} raised {type(error).__name__}: {error}") from error
    if getattr(y, "shape", None) != x.shape:
        raise ValueError(
            f"{where} returned {_describe(y)}; it must return an array of the shape it was given, {x.shape}."
        )
    if not bool(jnp.all(jnp.isfinite(y))):
        sample, feature = (int(i[0]) for i in jnp.nonzero(~jnp.isfinite(y), size=1))
        raise ValueError(
            f"{where} returned {float(y[sample, feature])} for sample {sample}, feature {feature} (input "
            f"{float(x[sample, feature]):.6g}); it must return finite values."
        )


def _describe(value: object) -> str:
    shape = getattr(value, "shape", None)
    return f"an array of shape {shape}" if shape is not None else f"a {type(value).__name__}"
