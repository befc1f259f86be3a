"""Checkpoints of long trainings: what an interruption leaves, to go on from exactly."""

import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ntkcheck.store import code_of

FOLDER = "NTKCHECK_CHECKPOINTS"  # the environment variable that names another
DEFAULT_FOLDER = "results/checkpoints"
STEPS = 2000  # between checkpoints

Curves = dict[str, Float[np.ndarray, " steps"]]


def place(function: str, key: str) -> Path:
    """The file of a measurement's checkpoint, by its key and the code that measures: other code begins anew."""
    return Path(os.environ.get(FOLDER, DEFAULT_FOLDER)) / f"{key[:24]}-{code_of(function)[:8]}.npz"


def write(path: Path, state: Any, curves: Curves) -> None:
    """Write a state and what was seen so far, whole: a reader never meets half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {f"leaf {i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    arrays |= {f"curve {name}": values for name, values in curves.items()}
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
    os.replace(temporary, path)


def read(path: Path, like: Any) -> tuple[Any, Curves]:
    """What `write` has written: a state of the structure of `like`, and what was seen."""
    with np.load(path) as arrays:
        structure = jax.tree.structure(like)
        state = jax.tree.unflatten(structure, [jnp.asarray(arrays[f"leaf {i}"]) for i in range(structure.num_leaves)])
        curves = {name.removeprefix("curve "): arrays[name] for name in arrays.files if name.startswith("curve ")}
    return state, curves
