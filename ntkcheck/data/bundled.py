"""The real data that come with the package."""

from importlib import resources

import numpy as np
from jaxtyping import UInt8

from ntkcheck.data.dataset import Dataset

_DIGITS_SOURCE = (
    "E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, test set, "
    "UCI Machine Learning Repository, doi:10.24432/C50P49, CC BY 4.0; the copy that scikit-learn ships"
)

_PHOTOGRAPHS = ("china", "flower")
PHOTOGRAPHS_SOURCE = (
    "photographs china (danielbuechele) and flower (vultilion) that scikit-learn ships, CC BY 2.0, in grey"
)


def digits() -> Dataset:
    """The 1797 handwritten digits of the UCI test set, 8 x 8 pixels, each the number 0..16 of dark dots in a 4 x 4 block.

    Written by 13 people. The rows are images in row-major order, in the order of the published file; three pixels of the
    left and right rim are 0 in all of them. Licence: CC BY 4.0.

    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
    doi:10.24432/C50P49, in the copy that scikit-learn 1.9.1 ships as `digits.csv.gz`.
    """
    return Dataset("digits", _stored("images").astype(np.float64), _DIGITS_SOURCE)


def digit_labels() -> UInt8[np.ndarray, " samples"]:
    """The digit 0..9 that each row of `digits` shows.

    Source: as of `digits`.
    """
    return _stored("labels")


def photographs() -> list[UInt8[np.ndarray, "rows columns"]]:
    """Two photographs of 427 x 640 pixels in grey, 0..255: a temple before the sky, and a flower.

    Licence: CC BY 2.0.

    Source: `china.jpg` and `flower.jpg` of scikit-learn 1.9.1; authors and what was changed are in `SOURCES.md`.
    """
    return [_stored(name, "photographs.npz") for name in _PHOTOGRAPHS]


def _stored(array: str, file: str = "digits.npz") -> np.ndarray:
    with resources.files("ntkcheck.data").joinpath(file).open("rb") as opened, np.load(opened) as arrays:
        return arrays[array]
