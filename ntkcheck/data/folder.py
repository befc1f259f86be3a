"""Folders in the formats in which MNIST, CIFAR-10 and CIFAR-100 are published."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ntkcheck.data.cifar import read_binary_batch, read_pickled_batch
from ntkcheck.data.mnist import read_idx


class _Format(NamedTuple):
    """A published format: its sets of files, the preferred one first, and the reader of one file."""

    name: str
    sets: tuple[tuple[str, ...], ...]
    read: Callable[[Path], np.ndarray]


_CIFAR_TRAINING = tuple(f"data_batch_{i}" for i in range(1, 6))
_FORMATS = (
    _Format(
        "MNIST",
        tuple((f"{part}-images-idx3-ubyte{suffix}",) for part in ("train", "t10k") for suffix in ("", ".gz")),
        read_idx,
    ),
    _Format("CIFAR-10, Python version", (_CIFAR_TRAINING, ("test_batch",)), read_pickled_batch),
    _Format(
        "CIFAR-10, binary version",
        (tuple(f"{name}.bin" for name in _CIFAR_TRAINING), ("test_batch.bin",)),
        read_binary_batch,
    ),
    _Format("CIFAR-100, Python version", (("train",), ("test",)), read_pickled_batch),
)
_REMEDY = (
    "name the folder that holds train-images-idx3-ubyte (or .gz), data_batch_1, data_batch_1.bin or CIFAR-100's train"
)


def read_folder(folder: Path) -> tuple[np.ndarray, str]:
    """The training images (the test images where there are no others) of a folder or its one subfolder, and their source."""
    found = _sets_in(folder) or [each for sub in sorted(folder.iterdir()) if sub.is_dir() for each in _sets_in(sub)]
    if not found:
        names = sorted(path.name for path in folder.iterdir())
        holds = f"holds {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}" if names else "is empty"
        raise ValueError(
            f"`spec` must name a folder in the format of MNIST, CIFAR-10 or CIFAR-100, got {folder}, which {holds}; {_REMEDY}."
        )
    if len(found) > 1:
        sources = ", ".join(f"{layout.name} in {paths[0].parent}" for layout, paths in found)
        raise ValueError(
            f"`spec` must name a folder with one data set, got {folder} with {sources}; name one of these."
        )
    layout, paths = found[0]
    images = np.concatenate([layout.read(path) for path in paths])
    return images, f"{layout.name}: {', '.join(path.name for path in paths)} in {paths[0].parent}"


def _sets_in(folder: Path) -> list[tuple[_Format, list[Path]]]:
    sets = ((layout, _first_set(folder, layout)) for layout in _FORMATS)
    return [(layout, paths) for layout, paths in sets if paths]


def _first_set(folder: Path, layout: _Format) -> list[Path]:
    for names in layout.sets:
        missing = [name for name in names if not (folder / name).is_file()]
        if missing and len(missing) < len(names):
            raise FileNotFoundError(
                f"`spec` must name a complete folder, got {folder} without {', '.join(missing)}; fetch the missing files."
            )
        if not missing:
            return [folder / name for name in names]
    return []
