"""A user's own normaliser, from a file, checked before it is used."""

import importlib.util
import sys
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.sparse.csgraph import connected_components

from ntkcheck.errors import nearest
from ntkcheck.normalizers.registry import Function, Normalizer, wrap

_REMEDIES = {
    jax.errors.TracerArrayConversionError: "use jax.numpy in place of numpy.",
    jax.errors.ConcretizationTypeError: (
        "while a function is compiled its values are unknown: branch on them with jax.numpy.where or jax.lax.cond."
    ),
}


def from_file(spec: str, batch: int, features: int) -> Normalizer:
    """Load `path/to/file.py:function` and check that it is a normaliser.

    The function is tried on a Gaussian batch: it must return a finite array of the same shape and dtype, compile, and have
    finite derivatives. The features that it couples with each other are found by differentiating it (`coupled_features`).

    Args:
        spec: Path of a Python file, a colon, and the name of a function (batch, features) -> (batch, features) in it.
        batch: Batch size that the function will meet.
        features: Number of features that it will meet.

    Returns:
        The normaliser; a new object for every call, because the file is run anew.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be run, has no such function, or the function fails one of the checks.
    """
    path, _, name = spec.rpartition(":")
    if not path or not name:
        raise ValueError(f"`normalizer` must read path/to/file.py:function, got {spec!r}.")
    return from_function(_load(Path(path), name), batch, features, name=name, described=repr(spec))


def from_function(
    function: Function, batch: int, features: int, name: str | None = None, described: str | None = None
) -> Normalizer:
    """Check that a function is a normaliser, and find the features that it couples.

    Args:
        function: (batch, features) -> (batch, features), in JAX.
        batch: Batch size that the function will meet.
        features: Number of features that it will meet.
        name: Of the normaliser; the function's own unless given.
        described: How error messages call it; its name unless given.

    Raises:
        ValueError: If the function fails one of the checks of `from_file`.
    """
    name = name or str(getattr(function, "__name__", "function"))
    x = jax.random.normal(jax.random.key(0), (batch, features), dtype=jnp.result_type(float))
    where = f"`normalizer` {described or name} on a standard Gaussian batch of shape {x.shape}"
    _check_values(function, x, where)
    _check_derivative(function, x, where)
    coupled = coupled_features(function, x)
    return wrap(name, function, None if coupled == features and features > 1 else coupled)


def couples_samples(normalizer: Normalizer, batch: int, features: int) -> bool:
    """Whether samples see each other: whether moving one sample of a Gaussian batch moves the output of another."""
    x = jax.random.normal(jax.random.key(0), (batch, features))
    moves = jnp.eye(batch)[:, :, None] * jax.random.normal(jax.random.key(1), x.shape)
    answers = jax.vmap(lambda move: jax.jvp(normalizer.function, (x,), (move,))[1])(moves)
    return bool(jnp.any((answers != 0).any(2) & ~jnp.eye(batch, dtype=bool)))


def coupled_features(function: Function, x: Float[Array, "batch features"]) -> int:
    """Number of features in each of the groups that `function` couples on the batch `x`.

    Output j depends on input i where the derivative is not exactly zero for some samples; groups are the connected components
    of this graph, so that triangular and banded couplings count as what they reach.

    Raises:
        ValueError: If the groups differ in size; the theory knows features that are alike.
    """
    direction = jax.random.normal(jax.random.key(1), x.shape[:1], x.dtype)

    def answers(feature):
        tangent = jnp.zeros_like(x).at[:, feature].set(direction)
        return jnp.any(jax.jvp(function, (x,), (tangent,))[1] != 0, axis=0)

    coupling = np.asarray(jax.lax.map(answers, jnp.arange(x.shape[1])))
    sizes = np.bincount(connected_components(coupling, directed=False)[1])
    if sizes.min() != sizes.max():
        raise ValueError(
            f"`normalizer` must couple its features in groups of one size, got groups of {sizes.min()} to {sizes.max()} "
            f"among {x.shape[1]} features; try a number of features that the group size divides."
        )
    return int(sizes[0])


def _load(path: Path, name: str) -> Function:
    if not path.is_file():
        raise FileNotFoundError(
            f"`normalizer` must name a Python file, got {str(path)!r}, which is no file; check the path."
        )
    module_spec = importlib.util.spec_from_file_location(f"user_normalizer_{path.stem}", path)
    if path.suffix != ".py" or module_spec is None or module_spec.loader is None:
        raise ValueError(f"`normalizer` must name a Python file (.py), got {str(path)!r}.")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module  # where dataclasses (and Equinox modules) look their annotations up
    try:
        module_spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ValueError(f"`normalizer`: running {str(path)!r} raised {_summary(error)}") from error
    function = getattr(module, name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        suggestion = nearest(name, known)
        remedy = f"did you mean {suggestion!r}?" if suggestion else f"it has {', '.join(known) or 'none'}."
        raise ValueError(f"`normalizer`: {str(path)!r} has no function {name!r}; {remedy}")
    return cast(Function, function)


def _check_values(function: Function, x: jax.Array, where: str) -> None:
    try:
        y: Any = function(x)
    except Exception as error:
        raise ValueError(f"{where} raised {_summary(error)}") from error
    if getattr(y, "shape", None) != x.shape:
        raise ValueError(
            f"{where} returned {_describe(y)}; it must return an array of the shape it was given, {x.shape}."
        )
    if y.dtype != x.dtype:
        raise ValueError(f"{where} returned {y.dtype} for {x.dtype}; it must keep the dtype it was given.")
    if not bool(jnp.all(jnp.isfinite(y))):
        sample, feature = (int(i[0]) for i in jnp.nonzero(~jnp.isfinite(y), size=1))
        raise ValueError(
            f"{where} returned {float(y[sample, feature])} for sample {sample}, feature {feature} (input "
            f"{float(x[sample, feature]):.6g}); it must return finite values."
        )


def _check_derivative(function: Function, x: jax.Array, where: str) -> None:
    tangent = jax.random.normal(jax.random.key(1), x.shape, x.dtype)
    try:
        derivative = jax.jit(lambda u, v: jax.jvp(function, (u,), (v,))[1])(x, tangent)
    except Exception as error:
        remedy = next((text for kind, text in _REMEDIES.items() if isinstance(error, kind)), "write it in jax.numpy.")
        raise ValueError(
            f"{where} cannot be compiled and differentiated: {_summary(error)} Remedy: {remedy}"
        ) from error
    if not bool(jnp.all(jnp.isfinite(derivative))):
        raise ValueError(f"{where} has a derivative that is not finite; the NTK needs one.")


def _summary(error: BaseException) -> str:
    """The exception's type and the first line of its message."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _describe(value: object) -> str:
    shape = getattr(value, "shape", None)
    return f"an array of shape {shape}" if shape is not None else f"a {type(value).__name__}"
