"""Images for the reference models: digits, natural-image patches, Gaussian pixels, or the user's own, brought to their size."""

import functools
import hashlib
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ntkcheck import data
from ntkcheck.errors import unknown_name

NAMES = ("patches", "digits", "gaussian")


class Images(NamedTuple):
    """Images as networks take them.

    Attributes:
        x: Channels last; every channel has mean 0 and variance 1 over all of them.
        source: Where they come from.
        digest: Of the samples before they were brought to size.
    """

    x: Float[np.ndarray, "images height width 3"]
    source: str
    digest: str


@functools.lru_cache(maxsize=8)
def load(spec: str, count: int, side: int, seed: int) -> Images:
    """Images of one size, standardised by channel; grey ones are repeated for the three channels.

    Args:
        spec: One of `NAMES`; or the path of a file or folder that `data.load` takes, whose samples are squares of grey pixels, or
            three planes of them as CIFAR has.
        count: How many.
        side: Of the images; others are resized by bilinear interpolation, without smoothing where that makes them smaller.
        seed: Of what is generated, and of the choice among what is stored.

    Raises:
        ValueError: For an unknown name, samples that are no square images, too few of them, or a channel that is constant.
        FileNotFoundError: For a path where nothing is.
    """
    dataset = _samples(spec, count, side, seed)
    if len(dataset.x) < count:
        raise ValueError(
            f"`batch` must fit the data: {count} images are needed, {dataset.name} has {len(dataset.x)}; take a smaller batch."
        )
    rows = dataset.x[np.random.default_rng(seed).permutation(len(dataset.x))[:count]]
    digest = hashlib.sha256(np.ascontiguousarray(rows).tobytes()).hexdigest()[:16]
    return Images(_standardized(_resized(_planes(rows, dataset.name), side), dataset.name), dataset.source, digest)


def load_checked(spec: str, count: int, side: int, seed: int, digest: str) -> Images:
    """`load`, of the images of that digest.

    Raises:
        ValueError: As `load` does, and where the images are no longer those of the digest.
    """
    found = load(spec, count, side, seed)
    if found.digest != digest:
        raise ValueError(
            f"`inputs` must be the digest of {found.source}, {found.digest}, got {digest}: it has changed since; measure it under "
            "its new digest."
        )
    return found


def _samples(spec: str, count: int, side: int, seed: int) -> data.Dataset:
    if spec == "gaussian":
        return data.gaussian(count, 3 * side**2, seed)
    if spec == "patches":
        return data.population(spec, count, side**2, seed)
    if spec not in NAMES and not Path(spec).exists() and not Path(spec).suffix and len(Path(spec).parts) < 2:
        raise unknown_name("data", spec, NAMES, "name the path of an array file or of a folder of images")
    try:
        return data.load(spec)
    except FileNotFoundError as error:
        raise FileNotFoundError(str(error).replace("`spec`", "`data`")) from error
    except (ValueError, OSError) as error:
        raise ValueError(str(error).replace("`spec`", "`data`")) from error


def _planes(rows: Float[np.ndarray, "images features"], name: str) -> Float[np.ndarray, "images planes side side"]:
    """Squares of pixels, one to a sample or three."""
    features = rows.shape[1]
    for planes in (1, 3):
        side = math.isqrt(features // planes)
        if planes * side**2 == features:
            return rows.reshape(-1, planes, side, side)
    raise ValueError(
        f"`data` must hold square images, grey or of three planes, got {features} numbers a sample in {name}; crop them, as to "
        "784 or 3072."
    )


def _resized(planes: Float[np.ndarray, "images planes old old"], side: int) -> Float[np.ndarray, "images side side 3"]:
    weights = interpolation(planes.shape[-1], side)
    resized = weights @ planes @ weights.T
    return np.moveaxis(np.broadcast_to(resized, (len(planes), 3, side, side)), 1, 3)


def interpolation(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """Weights of linear interpolation between pixel centres, (i + 1/2) old / new - 1/2, held constant beyond the outer ones."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(old)))


def _standardized(x: Float[np.ndarray, "images side side 3"], name: str) -> Float[np.ndarray, "images side side 3"]:
    axes = (0, 1, 2)
    if (np.ptp(x, axis=axes) == 0).any():
        raise ValueError(f"`data` must vary in every channel, got a constant one in the images of {name}; take others.")
    return ((x - x.mean(axes)) / x.std(axes)).astype(np.float32)
