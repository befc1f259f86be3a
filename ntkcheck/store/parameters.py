"""Parameters as they are kept, and the key and the seed that follow from them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ntkcheck.store.functions import reference, resolve, source_digest

_PLAIN = frozenset((type(None), bool, int, float, str))


def canonical(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as they are kept: plain values that `json` can write.

    NumPy's scalars become Python's, lists become tuples, and a function becomes its reference and the digest of its source.

    Args:
        parameters: by name: None, booleans, numbers (nan and inf too), strings, functions that `reference` accepts, and lists,
            tuples and dicts (with str keys) of these.

    Raises:
        ValueError: for anything else, with the parameter's name.
    """
    return {_name("parameters", name): _plain(name, value) for name, value in parameters.items()}


def key_of(function: str, parameters: Mapping[str, Any]) -> str:
    """The key of a cell: SHA-256, in hexadecimal, of its function's reference and its parameters.

    Equal numbers give equal keys (1 and 1.0, 0.0 and -0.0), and so do two NaNs; True and 1 do not. The order of names, the
    process and the machine do not matter.

    Args:
        function: from `reference`.
        parameters: as for `canonical`.

    Raises:
        ValueError: as `canonical`.
    """
    return hashlib.sha256(text_of((function, canonical(parameters))).encode()).hexdigest()


def seed_of(key: str) -> int:
    """A cell's seed: the first 63 bits of its key."""
    return int(key[:16], 16) >> 1


def random_key(seed: int) -> Key[Array, ""]:
    """The random key of a cell's seed: both halves of it, with 64-bit mode or without, where `jax.random.key` drops one."""
    halves = np.array([seed >> 32, seed % 2**32], np.uint32)
    return jax.random.wrap_key_data(jnp.asarray(halves), impl="threefry2x32")


def text_of(value: Any) -> str:
    """JSON text that is the same for equal values out of `canonical`."""
    return json.dumps(_merged(value), sort_keys=True, separators=(",", ":"))


def revived(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Kept parameters as they were measured with: references have become functions again.

    Raises:
        ValueError: where a function is gone, or its source is no longer what was measured.
    """
    return {name: _revived(value) for name, value in parameters.items()}


def is_function(value: Any) -> bool:
    """Whether a kept value stands for a function."""
    return isinstance(value, dict) and value.keys() == {"function", "source"}


def _plain(name: str, value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, np.generic) and type(value.item()) in _PLAIN:
        return value.item()
    if isinstance(value, list | tuple):
        return tuple([_plain(f"{name}[{i}]", item) for i, item in enumerate(value)])
    if isinstance(value, dict):
        return {_name(name, key): _plain(f"{name}[{key!r}]", item) for key, item in value.items()}
    if callable(value):
        try:
            return {"function": reference(value), "source": source_digest(value)}
        except ValueError as error:
            raise ValueError(f"`{name}`: {error}") from None
    raise ValueError(
        f"`{name}` must be None, a boolean, a number, a string, a function, or a list, tuple or dict of these, got "
        f"{type(value).__name__}; pass numbers with .tolist() or .item(), or the name of what is to be loaded."
    )


def _name(owner: str, key: Any) -> str:
    if type(key) is not str:
        raise ValueError(f"`{owner}` must have strings as names, got {key!r}; use {str(key)!r}.")
    return key


def _merged(value: Any) -> Any:
    """Numbers that are integers as int, so that 1 and 1.0, or 0.0 and -0.0, are written alike."""
    if type(value) is float:
        return int(value) if value.is_integer() else value
    if isinstance(value, tuple):
        return [_merged(item) for item in value]
    if isinstance(value, dict):
        return {key: _merged(item) for key, item in value.items()}
    return value


def _revived(value: Any) -> Any:
    if is_function(value):
        function = resolve(value["function"])
        if source_digest(function) != value["source"]:
            raise ValueError(f"{value['function']} is no longer the function that was measured; restore its source.")
        return function
    if isinstance(value, tuple):
        return tuple([_revived(item) for item in value])
    if isinstance(value, dict):
        return {key: _revived(item) for key, item in value.items()}
    return value
