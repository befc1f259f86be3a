"""What the statistics ask of their arguments."""

import numpy as np
from jaxtyping import Float, Shaped


def finite_vector(argument: str, values: Shaped[np.ndarray, "..."], fewest: int) -> Float[np.ndarray, " samples"]:
    """`values` in float64, once they are known to be a finite vector of at least `fewest` entries."""
    vector = np.asarray(values, np.float64)
    if vector.ndim != 1:
        raise ValueError(f"`{argument}` must be one-dimensional, got shape {vector.shape}; pass one number per sample.")
    if len(vector) < fewest:
        raise ValueError(f"`{argument}` must hold at least {fewest} values, got {len(vector)}; take more samples.")
    broken = np.flatnonzero(~np.isfinite(vector))
    if broken.size:
        raise ValueError(
            f"`{argument}` must be finite, got {vector[broken[0]]} at index {broken[0]} ({broken.size} in all); "
            "record the breakdown by itself and pass the samples that ended well."
        )
    return vector


def check_level(level: float) -> None:
    """Raise ValueError unless `level` is a probability strictly between 0 and 1."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"`level` must lie strictly between 0 and 1, got {level}; 0.95 is usual.")
