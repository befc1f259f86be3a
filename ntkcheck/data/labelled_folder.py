"""Training and test samples with labels from folders in the formats in which MNIST, CIFAR-10 and CIFAR-100 are published."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ntkcheck.data.cifar import read_labelled_batch, read_labelled_binary_batch
from ntkcheck.data.mnist import read_idx, read_idx_labels

Labelled = tuple[np.ndarray, np.ndarray]


class _Format(NamedTuple):
    """A published format: the files of its training and test samples, and the reader of one of them with its labels."""

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    read: Callable[[Path], Labelled]


def _read_idx_pair(path: Path) -> Labelled:
    """Images, and the labels of the file beside them."""
    beside = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    if not beside.is_file():
        raise FileNotFoundError(
            f"`spec` must hold the labels of {path.name}, got {path.parent} without {beside.name}; fetch it."
        )
    return read_idx(path), read_idx_labels(beside)


_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
_FORMATS = (
    *(
        _Format("MNIST", (f"train-images-idx3-ubyte{end}",), (f"t10k-images-idx3-ubyte{end}",), _read_idx_pair)
        for end in ("", ".gz")
    ),
    _Format("CIFAR-10, Python version", _BATCHES, ("test_batch",), read_labelled_batch),
    _Format(
        "CIFAR-10, binary version",
        tuple(f"{name}.bin" for name in _BATCHES),
        ("test_batch.bin",),
        read_labelled_binary_batch,
    ),
    _Format("CIFAR-100, Python version", ("train",), ("test",), read_labelled_batch),
)


def read_labelled_folder(folder: Path) -> tuple[Labelled, Labelled | None, str]:
    """Training samples with labels of a folder or its one subfolder, the test samples where it has them, and their source."""
    inside = (folder, *(path for path in sorted(folder.iterdir()) if path.is_dir()))
    found = [(layout, place) for place in inside for layout in _FORMATS if (place / layout.train[0]).is_file()]
    if len(found) != 1:
        names = ", ".join(f"{layout.name} in {place}" for layout, place in found) or "none"
        raise ValueError(
            f"`spec` must name a folder with the training samples and labels of one data set, MNIST, CIFAR-10 or CIFAR-100 as "
            f"published, got {folder} with {names}; name the folder of one."
        )
    layout, place = found[0]
    missing = [name for name in layout.train if not (place / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"`spec` must name a complete folder, got {place} without {', '.join(missing)}; fetch the missing files."
        )
    has_test = all((place / name).is_file() for name in layout.test)
    train = _joined(layout, place, layout.train)
    return train, _joined(layout, place, layout.test) if has_test else None, f"{layout.name} in {place}"


def _joined(layout: _Format, place: Path, names: tuple[str, ...]) -> Labelled:
    parts = [layout.read(place / name) for name in names]
    return np.concatenate([x for x, _ in parts]), np.concatenate([labels for _, labels in parts])
