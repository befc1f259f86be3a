"""The batches in which CIFAR-10 and CIFAR-100 are published: Python pickles, of which nothing is run, and binary files."""

import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int, UInt8

from ntkcheck.errors import broken_file

_PIXELS = 3 * 32 * 32
_CLASSES = 10
_BINARY_KIND = f"an intact binary CIFAR-10 batch (rows of 1 label and {_PIXELS} pixels)"
_PICKLED_KIND = f"an intact Python CIFAR-10 batch (`data` of {_PIXELS} pixels a row)"
_LABELLED_KIND = "an intact Python batch of CIFAR-10 or CIFAR-100 with the classes of its images"
LABELS = (b"labels", "labels", b"fine_labels", "fine_labels")


def read_binary_batch(path: Path) -> UInt8[np.ndarray, "samples 3072"]:
    """The images of a binary batch: rows of one byte of label 0..9 and 1024 red, 1024 green and 1024 blue bytes.

    Source: Krizhevsky 2009, Learning multiple layers of features from tiny images; the CIFAR-10 page, binary version.
    """
    return read_labelled_binary_batch(path)[0]


def read_labelled_binary_batch(path: Path) -> tuple[UInt8[np.ndarray, "samples 3072"], Int[np.ndarray, " samples"]]:
    """The images of a binary batch and their classes.

    Source: as of `read_binary_batch`.
    """
    content = np.fromfile(path, np.uint8)
    if not content.size or content.size % (1 + _PIXELS):
        raise broken_file("spec", path, _BINARY_KIND, f"has {content.size} bytes, no multiple of {1 + _PIXELS}")
    rows = content.reshape(-1, 1 + _PIXELS)
    if rows[:, 0].max() >= _CLASSES:
        raise broken_file("spec", path, _BINARY_KIND, f"has the label {rows[:, 0].max()}, above {_CLASSES - 1}")
    return rows[:, 1:], rows[:, 0].astype(np.int64)


def read_pickled_batch(path: Path) -> UInt8[np.ndarray, "samples 3072"]:
    """The images of a Python batch: the entry `data` of a pickled dictionary, red, green and blue planes in a row.

    Source: Krizhevsky 2009, Learning multiple layers of features from tiny images; the CIFAR-10 page, Python version.
    """
    return _images(_pickled(path), path)


def read_labelled_batch(path: Path) -> tuple[UInt8[np.ndarray, "samples 3072"], Int[np.ndarray, " samples"]]:
    """The images of a Python batch with their classes: `labels` of CIFAR-10, the hundred `fine_labels` of CIFAR-100.

    Source: Krizhevsky 2009, Learning multiple layers of features from tiny images; the CIFAR-10 page, Python version.
    """
    batch = _pickled(path)
    images = _images(batch, path)
    labels = next((batch[name] for name in LABELS if name in batch), None)
    if not isinstance(labels, list) or not all(type(label) is int for label in labels) or len(labels) != len(images):
        raise broken_file("spec", path, _LABELLED_KIND, f"holds no list of {len(images)} of them")
    return images, np.array(labels, np.int64)


def _pickled(path: Path) -> dict[Any, Any]:
    with path.open("rb") as file:
        try:
            batch = _BatchUnpickler(file, encoding="bytes").load()
        except Exception as error:  # the pickle module promises no narrower set for damaged input
            raise broken_file("spec", path, _PICKLED_KIND, f"cannot be unpickled ({error})") from error
    return batch if isinstance(batch, dict) else {}


def _images(batch: dict[Any, Any], path: Path) -> UInt8[np.ndarray, "samples 3072"]:
    data = batch.get(b"data", batch.get("data"))
    if not isinstance(data, _PickledArray):
        raise broken_file("spec", path, _PICKLED_KIND, "holds no array `data`")
    if data.dtype != "u1" or len(data.shape) != 2 or data.shape[1] != _PIXELS:
        raise broken_file("spec", path, _PICKLED_KIND, f"holds `data` of dtype {data.dtype} and shape {data.shape}")
    if len(data.content) != data.shape[0] * _PIXELS:
        raise broken_file("spec", path, _PICKLED_KIND, f"holds {len(data.content)} bytes for shape {data.shape}")
    return np.frombuffer(data.content, np.uint8).reshape(data.shape, order=data.order)


class _PickledDtype:
    """Stands for numpy.dtype while unpickling: keeps the code, such as `u1`, and ignores the rest."""

    def __init__(self, code: str | bytes, *_: object) -> None:
        self.code = code.decode() if isinstance(code, bytes) else code

    def __setstate__(self, state: object) -> None:
        pass


class _PickledArray:
    """Stands for numpy.ndarray while unpickling: keeps what the pickle says of it, and builds nothing."""

    shape: tuple[int, ...] = ()
    dtype: str = ""
    order: Literal["C", "F"] = "C"
    content: bytes = b""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, is_fortran, content = state
        if not isinstance(content, bytes) or not all(isinstance(size, int) for size in shape):
            raise pickle.UnpicklingError("it has an array whose shape or content is none")
        self.shape, self.dtype, self.order, self.content = tuple(shape), dtype.code, "F" if is_fortran else "C", content


def _reconstruct(*_: object) -> _PickledArray:
    return _PickledArray()


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into the pickle protocols of Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
    return text.encode("latin1")


_ALLOWED = {
    ("numpy", "dtype"): _PickledDtype,
    ("numpy", "ndarray"): _PickledArray,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): _encode,
}


class _BatchUnpickler(pickle.Unpickler):
    """Unpickles containers, numbers, text and stand-ins for arrays; anything else is refused before it is looked up."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}, which no batch needs")
        return _ALLOWED[module_name, global_name]
