"""What networks are trained on: labelled images as they take them."""

import functools
import hashlib
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ntkcheck.data.labelled import Split, load_split
from ntkcheck.reference.images import interpolation

INPUTS = ("standardized", "raw", "batch_norm")


class Task(NamedTuple):
    """Labelled images, channels last, in float32.

    Attributes:
        train: Training images.
        train_labels: Their classes.
        test: Test images.
        test_labels: Their classes.
        classes: Number of classes.
        source: Where the images come from.
        digest: Of samples, labels and split, before images were brought to size.
    """

    train: Float[np.ndarray, "train side side 3"]
    train_labels: Int[np.ndarray, " train"]
    test: Float[np.ndarray, "test side side 3"]
    test_labels: Int[np.ndarray, " test"]
    classes: int
    source: str
    digest: str


@functools.lru_cache(maxsize=4)
def load(spec: str, side: int, inputs: str) -> Task:
    """Images of one size with labels; grey ones are repeated for the three channels.

    Args:
        spec: As `data.labelled.load_split` takes it; samples are squares of grey pixels, or three planes of them.
        side: Of the images; others are resized by bilinear interpolation.
        inputs: "standardized", by mean and deviation of each channel over the training images; or "raw" or "batch_norm", both in
            the units of the source.

    Raises:
        ValueError: For data without labels, samples that are no square images, and a channel that is constant.
        FileNotFoundError: For a path where nothing is.
    """
    split = _split(spec)
    train, test = _images(split.train, side), _images(split.test, side)
    if inputs == "standardized":
        axes = (0, 1, 2)
        mean, deviation = train.mean(axes), train.std(axes)
        if (deviation == 0).any():
            raise ValueError(f"`data` must vary in every channel, got a constant one in {spec}; take other images.")
        train, test = (train - mean) / deviation, (test - mean) / deviation
    labels = split.train_labels.astype(np.int32), split.test_labels.astype(np.int32)
    images = train.astype(np.float32), test.astype(np.float32)
    return Task(images[0], labels[0], images[1], labels[1], split.classes, split.source, _digest(split))


def load_checked(spec: str, side: int, inputs: str, digest: str) -> Task:
    """`load`, of the data of that digest.

    Raises:
        ValueError: As `load` does, and where the data are no longer those of the digest.
    """
    task = load(spec, side, inputs)
    if task.digest != digest:
        raise ValueError(
            f"`digest` must be that of {task.source}, {task.digest}, got {digest}: the data have changed since; measure them "
            "under their new digest."
        )
    return task


def _split(spec: str) -> Split:
    try:
        return load_split(spec)
    except FileNotFoundError as error:
        raise FileNotFoundError(str(error).replace("`spec`", "`data`")) from error
    except ValueError as error:
        raise ValueError(str(error).replace("`spec`", "`data`")) from error


def _images(rows: Float[np.ndarray, "images features"], side: int) -> Float[np.ndarray, "images side side 3"]:
    planes = _planes(rows)
    if planes.shape[-1] != side:
        weights = interpolation(planes.shape[-1], side)
        planes = weights @ planes @ weights.T
    return np.moveaxis(np.broadcast_to(planes, (len(planes), 3, side, side)), 1, 3)


def _planes(rows: Float[np.ndarray, "images features"]) -> Float[np.ndarray, "images planes side side"]:
    for planes in (1, 3):
        side = math.isqrt(rows.shape[1] // planes)
        if planes * side**2 == rows.shape[1]:
            return rows.reshape(-1, planes, side, side)
    raise ValueError(
        f"`data` must hold square images, grey or of three planes, got {rows.shape[1]} numbers a sample; crop them, as to 784 or "
        "3072."
    )


def _digest(split: Split) -> str:
    found = hashlib.sha256()
    for array in split[:4]:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]
