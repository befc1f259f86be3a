"""Populations of any number of features on which normalisers are compared: Gaussian, heavy-tailed, and real activations."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from ntkcheck.data.bundled import PHOTOGRAPHS_SOURCE, digits, photographs
from ntkcheck.data.dataset import Dataset, check_count, standardize
from ntkcheck.data.loading import load
from ntkcheck.data.synthetic import gaussian, log_spaced_spectrum
from ntkcheck.errors import unknown_name

CONDITION_NUMBER = 1e3
DEGREES_OF_FREEDOM = 5  # of Student's t: the fourth moment exists, which first-order laws need, and the fifth does not
LEAST_HIDDEN = 256


def population(spec: str, samples: int, features: int, seed: int = 0) -> Dataset:
    """At most `samples` samples of the population of this name, or of the user's data.

    Args:
        spec: A name of `POPULATIONS`; or the path of a .npy or .npz file or of a folder, as `load` takes it.
        samples: How many, at least 2; where there are fewer, all of them.
        features: Of a named population; the user's data bring their own number.
        seed: Of what is generated, and of the choice among what is stored; at least 0.

    Raises:
        ValueError: For an unknown name, counts that are too small, or data that `load` refuses.
        FileNotFoundError: For a path where nothing is.
    """
    check_count("samples", samples, 2)
    check_count("features", features, 1)
    check_count("seed", seed, 0)
    if spec in POPULATIONS:
        return replace(POPULATIONS[spec](samples, features, seed), name=spec)
    path = Path(spec)
    if not path.exists() and not path.suffix and len(path.parts) < 2:
        raise unknown_name(
            "population", spec, POPULATIONS, "name the path of a .npy or .npz file, or of a folder of images"
        )
    try:
        return _at_most(load(spec), samples, seed)
    except FileNotFoundError as error:
        raise FileNotFoundError(str(error).replace("`spec`", "`population`")) from error
    except (ValueError, OSError) as error:
        raise ValueError(str(error).replace("`spec`", "`population`")) from error


def spectrum(samples: int, features: int, seed: int) -> Dataset:
    """Gaussian, eigenvalues of the covariance from 1000 to 1 in geometric progression, random eigenvectors."""
    return gaussian(samples, features, seed, log_spaced_spectrum(features, CONDITION_NUMBER))


def student_t(samples: int, features: int, seed: int) -> Dataset:
    """Independent features of variance 1 with heavy tails: Student's t with 5 degrees of freedom, kurtosis 9."""
    x = np.random.default_rng(seed).standard_t(DEGREES_OF_FREEDOM, (samples, features))
    scale = np.sqrt(1 - 2 / DEGREES_OF_FREEDOM)
    source = f"generated: Student's t, {DEGREES_OF_FREEDOM} degrees of freedom, in {features} dimensions, seed {seed}"
    return Dataset("student_t", scale * x, source)


def digits_layer(samples: int, features: int, seed: int) -> Dataset:
    """What the second layer's normaliser meets: pre-activations W2 relu(W1 x) of the bundled digits x, at random weights.

    The hidden layer has at least 256 neurons and four for each feature, so that the covariance has full rank, which that of W1 x
    has not: three pixels are constant. He's variance, no biases; digits standardised as for networks.
    """
    whole = digits()
    rng = np.random.default_rng(seed)
    hidden = max(LEAST_HIDDEN, 4 * features)
    x = standardize(_at_most(whole, samples, seed).x)
    first = rng.standard_normal((x.shape[1], hidden)) * np.sqrt(2 / x.shape[1])
    second = rng.standard_normal((hidden, features)) * np.sqrt(2 / hidden)
    described = (
        f"pre-activations of the second layer of a random ReLU network, {hidden} and {features} neurons, seed {seed}"
    )
    return Dataset("digits_layer", np.maximum(x @ first, 0) @ second, f"{described}; {whole.source}")


def patches(samples: int, features: int, seed: int) -> Dataset:
    """Patches of the two bundled photographs at different random places: grey pixels, as nearly square as `features` allows.

    Patches of one grey throughout (in the overexposed sky) are passed over: LayerNorm has no value for them.

    Raises:
        ValueError: For more pixels in a row than a photograph has.
    """
    pictures = photographs()
    height = max(side for side in range(1, int(features**0.5) + 1) if features % side == 0)
    width = features // height
    rows, columns = (size - side + 1 for size, side in zip(pictures[0].shape, (height, width), strict=True))
    if columns < 1:
        raise ValueError(
            f"`features` must be pixels of a rectangle within {pictures[0].shape[0]} x {pictures[0].shape[1]} for patches, got "
            f"{features}, which is {height} x {width}; try 64."
        )
    places = len(pictures) * rows * columns
    order = np.unravel_index(np.random.default_rng(seed).permutation(places), (len(pictures), rows, columns))
    windows = [np.lib.stride_tricks.sliding_window_view(picture, (height, width)) for picture in pictures]
    drawn = (windows[i][j, k].ravel() for i, j, k in zip(*order, strict=True))
    x = np.array(list(islice((patch for patch in drawn if features == 1 or np.ptp(patch)), samples)), np.float64)
    return Dataset("patches", x, f"patches of {height} x {width} pixels, seed {seed}, of {PHOTOGRAPHS_SOURCE}")


def _at_most(whole: Dataset, samples: int, seed: int) -> Dataset:
    if len(whole.x) <= samples:
        return whole
    rows = np.sort(np.random.default_rng(seed).choice(len(whole.x), samples, replace=False))
    return replace(whole, x=whole.x[rows], source=f"{whole.source}; {samples} of {len(whole.x)} samples, seed {seed}")


POPULATIONS: dict[str, Callable[[int, int, int], Dataset]] = {
    "gaussian": gaussian,
    "spectrum": spectrum,
    "student_t": student_t,
    "digits_layer": digits_layer,
    "patches": patches,
}
