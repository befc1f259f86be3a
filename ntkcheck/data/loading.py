"""Any data set by its name or its path."""

from pathlib import Path

import numpy as np

from ntkcheck.data.array_file import read_array_file
from ntkcheck.data.bundled import digits
from ntkcheck.data.dataset import Dataset, check_count, checked_samples
from ntkcheck.data.folder import read_folder
from ntkcheck.data.synthetic import gaussian
from ntkcheck.errors import unknown_name

_NAMES = ("digits", "gaussian")
_GAUSSIAN_SAMPLES = 4096
_GAUSSIAN_FEATURES = 64


def load(spec: str, *, samples: int | None = None, features: int | None = None, seed: int = 0) -> Dataset:
    """A data set by name, from an array file, or from a folder in a published format, in the units of its source.

    Args:
        spec: `digits`; `gaussian` (isotropic); the path of a .npy or .npz file (one array, or the key `x`; everything
            after the first axis is flattened); or the path of a folder that holds MNIST's idx files, or CIFAR-10's or
            CIFAR-100's batches, or of its parent (the training set; the test set where there is no other).
        samples: how many samples, at least 2: that many generated, or drawn from the stored ones without replacement and
            kept in their order. None for all stored ones, or 4096 generated ones.
        features: the dimension of generated data, 64 where it is None; stored data bring their own.
        seed: of what is generated or drawn, at least 0.

    Raises:
        ValueError: for an unknown name, a file that is damaged or of the wrong kind, non-finite values, fewer than two
            samples, more samples than there are, or `features` with stored data.
        FileNotFoundError: for a path where nothing is, or a folder that lacks some of a set's files.
    """
    check_count("samples", 2 if samples is None else samples, 2)
    check_count("seed", seed, 0)
    if spec == "gaussian":
        return gaussian(
            _GAUSSIAN_SAMPLES if samples is None else samples,
            _GAUSSIAN_FEATURES if features is None else features,
            seed,
        )
    if features is not None and (spec in _NAMES or Path(spec).exists()):
        raise ValueError(f"`features` must be None for stored data, got {features} with {spec!r}; leave it out.")
    if spec == "digits":
        whole = digits()
        return _drawn(whole.name, whole.x, whole.source, samples, seed)
    path = Path(spec)
    values, source = _read(path)
    return _drawn(path.resolve().stem, checked_samples("spec", values), source, samples, seed)


def _read(path: Path) -> tuple[np.ndarray, str]:
    if path.is_dir():
        return read_folder(path)
    remedy = "name the path of a .npy or .npz file, or of a folder with MNIST's, CIFAR-10's or CIFAR-100's files"
    if not path.exists():
        if path.suffix or len(path.parts) > 1:
            raise FileNotFoundError(f"`spec` must name what exists, got {path}; check the path from {Path.cwd()}.")
        raise unknown_name("spec", str(path), _NAMES, remedy)
    if path.suffix.lower() not in (".npy", ".npz"):
        raise ValueError(f"`spec` must name a file that can be read, got {path}; {remedy}.")
    return read_array_file(path), str(path)


def _drawn(name: str, x: np.ndarray, source: str, samples: int | None, seed: int) -> Dataset:
    if samples is None or samples == len(x):
        return Dataset(name, x.astype(np.float64), source)
    if samples > len(x):
        raise ValueError(
            f"`samples` must be at most the {len(x)} of {name}, got {samples}; leave it out for all of them."
        )
    rows = np.sort(np.random.default_rng(seed).choice(len(x), samples, replace=False))
    return Dataset(name, x[rows].astype(np.float64), f"{source}; {samples} of {len(x)} samples, seed {seed}")
