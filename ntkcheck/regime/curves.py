"""One quantity through depth, with its uncertainty: what the figure draws."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Curve(NamedTuple):
    """A quantity through depth.

    Attributes:
        subject: The normaliser.
        quantity: `correlation`, `ntk_off_diagonal` or `gradient`.
        width: `infinite` or `finite`.
        depth: Layers.
        value: Mean over samples.
        sem: Standard error; zeros where there is no sampling noise.
    """

    subject: str
    quantity: str
    width: str
    depth: Float[np.ndarray, " layers"]
    value: Float[np.ndarray, " layers"]
    sem: Float[np.ndarray, " layers"]


def curve(
    subject: str, quantity: str, width: str, depth: np.ndarray, samples: Float[np.ndarray, "samples layers"]
) -> Curve:
    """The mean over samples with its standard error; a single sample is a value without sampling noise."""
    count = len(samples)
    sem = samples.std(0, ddof=1) / count**0.5 if count > 1 else np.zeros(samples.shape[1])
    return Curve(subject, quantity, width, np.asarray(depth), samples.mean(0), sem)


def stationary(growth: Float[np.ndarray, "*samples layers"]) -> Float[np.ndarray, "*samples"]:
    """Mean growth per layer, the first and the last fifth of the layers left out: there input and readout still show."""
    layers = growth.shape[-1]
    return growth[..., layers // 5 : layers - layers // 5].mean(-1)
