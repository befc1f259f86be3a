"""The real data that come with the package."""

from importlib import resources

import numpy as np
from jaxtyping import UInt8

from ntkcheck.data.dataset import Dataset

_DIGITS_SOURCE = (
    "E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, test set, "
    "UCI Machine Learning Repository, doi:10.24432/C50P49, CC BY 4.0; the copy that scikit-learn ships"
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


def _stored(array: str) -> np.ndarray:
    with resources.files("ntkcheck.data").joinpath("digits.npz").open("rb") as file, np.load(file) as arrays:
        return arrays[array]
