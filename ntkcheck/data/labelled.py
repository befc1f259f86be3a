"""Data sets with labels, split into training and test samples."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ntkcheck.data.array_file import read_arrays
from ntkcheck.data.bundled import digit_labels, digits
from ntkcheck.data.dataset import checked_samples
from ntkcheck.data.labelled_folder import Labelled, read_labelled_folder
from ntkcheck.errors import unknown_name

TEST_SHARE = 0.2
_SPLIT_SEED = 0
_REMEDY = "name a folder with MNIST, CIFAR-10 or CIFAR-100 as published, or a .npz file with samples `x` and their classes `y`"


class Split(NamedTuple):
    """A labelled data set, in the units of its source.

    Attributes:
        train: Training samples, in the order of a fixed permutation where the set has no split of its own.
        train_labels: Their classes, from 0.
        test: Test samples.
        test_labels: Their classes.
        source: Where they come from, and how they were split.
    """

    train: Float[np.ndarray, "train features"]
    train_labels: Int[np.ndarray, " train"]
    test: Float[np.ndarray, "test features"]
    test_labels: Int[np.ndarray, " test"]
    source: str

    @property
    def classes(self) -> int:
        """One more than the largest label."""
        return 1 + int(max(self.train_labels.max(), self.test_labels.max()))


def load_split(spec: str) -> Split:
    """A data set with labels, by name or path: its own split, or a fifth of every class for the test.

    Args:
        spec: `digits`; the path of a folder that holds MNIST's, CIFAR-10's or CIFAR-100's files, or of its parent; or the path of
            a .npz file with samples `x` and classes `y`, and where they are apart, `x_test` and `y_test`.

    Raises:
        ValueError: For an unknown name, data without labels, labels that are no classes, and damaged files.
        FileNotFoundError: For a path where nothing is, or a folder that lacks some of a set's files.
    """
    if spec == "digits":
        whole = digits()
        return _split((whole.x, digit_labels()), None, whole.source)
    path = Path(spec)
    if path.is_dir():
        return _split(*read_labelled_folder(path))
    if not path.exists():
        if path.suffix or len(path.parts) > 1:
            raise FileNotFoundError(f"`spec` must name what exists, got {path}; check the path from {Path.cwd()}.")
        raise unknown_name("spec", spec, ("digits",), _REMEDY)
    if path.suffix.lower() != ".npz":
        raise ValueError(f"`spec` must name data with labels, got {path}; {_REMEDY}.")
    return _split(*_of_arrays(path))


def _of_arrays(path: Path) -> tuple[Labelled, Labelled | None, str]:
    arrays = read_arrays(path)
    missing = [name for name in ("x", "y") if name not in arrays]
    if missing:
        raise ValueError(
            f"`spec` must name data with labels, got {path} without {' and '.join(f'`{name}`' for name in missing)}; write it "
            "with numpy.savez(path, x=samples, y=classes)."
        )
    test = (arrays["x_test"], arrays["y_test"]) if {"x_test", "y_test"} <= arrays.keys() else None
    return (arrays["x"], arrays["y"]), test, str(path)


def _split(train: Labelled, test: Labelled | None, source: str) -> Split:
    x, labels = _checked(*train)
    if test is not None:
        return Split(x, labels, *_checked(*test), source)
    chosen, rest = _stratified(labels)
    how = f"{source}; {len(chosen)} of {len(x)} samples for the test, the same share of every class"
    return Split(x[rest], labels[rest], x[chosen], labels[chosen], how)


def _checked(
    x: np.ndarray, labels: np.ndarray
) -> tuple[Float[np.ndarray, "samples features"], Int[np.ndarray, " samples"]]:
    rows = checked_samples("spec", x).astype(np.float64)
    if labels.shape != (len(rows),) or labels.dtype.kind not in "ui" or labels.min() < 0:
        raise ValueError(
            f"`spec` must have a class, a whole number from 0, for each of {len(rows)} samples, got labels of shape "
            f"{labels.shape} and dtype {labels.dtype}; number the classes."
        )
    return rows, labels.astype(np.int64)


def _stratified(labels: Int[np.ndarray, " samples"]) -> tuple[Int[np.ndarray, " test"], Int[np.ndarray, " train"]]:
    """Rows of test and training samples in the order of a fixed permutation: of every class the first fifth is for the test."""
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        of_class = order[labels[order] == label]
        place[of_class] = (np.arange(len(of_class)) + 0.5) / len(of_class)
    is_test = place[order] < TEST_SHARE
    return order[is_test], order[~is_test]
