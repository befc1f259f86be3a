"""NumPy's own files: an array in a .npy, or in a .npz by itself or under the key `x`."""

import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ntkcheck.errors import broken_file

# What numpy.load lets through for damaged bytes; RuntimeError for a zip's flags that say "encrypted" or "unknown method".
_DAMAGE = (ValueError, OSError, EOFError, RuntimeError, tokenize.TokenError, zipfile.BadZipFile, zlib.error)


def read_array_file(path: Path) -> np.ndarray:
    """The array of a .npy or .npz file; nothing in it is ever unpickled.

    Source: NumPy's documentation, numpy.lib.format.
    """
    with path.open("rb") as file:
        with _reading(path):
            loaded = np.load(file, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            return loaded
        with loaded:
            key = _key(path, loaded.files)
            with _reading(path):
                return np.asarray(loaded[key])


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of a .npz file by its key; nothing in it is ever unpickled.

    Source: NumPy's documentation, numpy.lib.format.
    """
    with path.open("rb") as file:
        with _reading(path):
            loaded = np.load(file, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            return {}
        with loaded, _reading(path):
            return {key: np.asarray(loaded[key]) for key in loaded.files}


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        kind = "an intact .npy or .npz file without pickled objects"
        raise broken_file("spec", path, kind, f"cannot be read ({error})") from error


def _key(path: Path, keys: list[str]) -> str:
    if "x" in keys:
        return "x"
    if len(keys) != 1:
        raise ValueError(
            f"`spec` must name a .npz file with one array or the key `x`, got {path} with {', '.join(keys) or 'none'}; "
            "write it with numpy.savez(path, x=array)."
        )
    return keys[0]
