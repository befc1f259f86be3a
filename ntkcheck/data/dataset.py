"""A population of samples, what is asked of one, and its standardisation."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped


@dataclass(frozen=True, eq=False)
class Dataset:
    """A population: its name, its samples as rows in the units of its source, and where it comes from."""

    name: str
    x: Float[np.ndarray, "samples features"]
    source: str


def standardize(x: Float[np.ndarray, "samples features"]) -> Float[np.ndarray, "samples features"]:
    """The samples less their global mean, over their global standard deviation: (x - mean(x)) / std(x).

    One mean and one deviation for all features, as is usual with MNIST. Features keep their relative scales, and one that
    is constant (the dark rim of an image) stays, as a constant other than 0.

    Args:
        x: at least two finite samples in any units.

    Raises:
        ValueError: for data that are constant throughout, non-finite, or not samples by features.
    """
    values = checked_samples("x", x).astype(np.float64)
    if values.min() == values.max():
        raise ValueError(f"`x` must vary to be standardised, got {values.flat[0]} throughout; pass data that differ.")
    return (values - values.mean()) / values.std()


def checked_samples(argument: str, values: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "samples features"]:
    """The samples flattened to rows, in their own type, once they are known to be at least two finite ones."""
    if values.dtype.kind not in "buif":
        raise ValueError(f"`{argument}` must hold real numbers, got dtype {values.dtype}; convert it to float64.")
    if values.ndim < 2 or 0 in values.shape[1:]:
        raise ValueError(
            f"`{argument}` must have shape (samples, features), got {values.shape}; use x.reshape(samples, -1)."
        )
    if len(values) < 2:
        raise ValueError(f"`{argument}` must hold at least 2 samples, got {len(values)}; pass more.")
    x = values.reshape(len(values), -1)
    broken = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if broken.size:
        raise ValueError(
            f"`{argument}` must be finite, got {x[broken[0]][~np.isfinite(x[broken[0]])][0]} in sample {broken[0]} "
            f"({broken.size} of {len(x)} samples are affected); remove or repair them."
        )
    return x


def check_count(argument: str, value: int, least: int) -> None:
    """Raise ValueError unless `value` is at least `least`."""
    if value < least:
        raise ValueError(f"`{argument}` must be at least {least}, got {value}; pass a larger number.")
