"""The network that theory and finite width have in common: [Dense, normaliser, activation] x depth, then Dense(1)."""

from typing import NamedTuple

import numpy as np

from ntkcheck import activations, normalizers
from ntkcheck.activations import Activation
from ntkcheck.normalizers import Normalizer


class Network(NamedTuple):
    """[Dense, normaliser, activation] x depth, then Dense(1), in the NTK parametrisation; hashable.

    A dense layer computes sigma_w W^T a / sqrt(fan-in) + sigma_b b with W and b standard Gaussian and trained. Where the
    normaliser centres weights (weight mean), those of every dense layer are centred, the first and the readout included.

    Attributes:
        depth: Number of hidden layers.
        normalizer: What precedes the activation.
        activation: The activation.
        sigma_w: Weight standard deviation times sqrt(fan-in), the same in every layer.
        sigma_b: Bias standard deviation.
    """

    depth: int
    normalizer: Normalizer
    activation: Activation
    sigma_w: float
    sigma_b: float


def make_network(
    depth: int = 3,
    normalizer: str | normalizers.Function | Normalizer = "batch_norm",
    activation: str | Activation = "relu",
    sigma_w: float = 1.0,
    sigma_b: float = 0.0,
) -> Network:
    """A `Network` from names, checked.

    Raises:
        ValueError: For a depth below 1, scales that are negative or not finite, and unknown names.
    """
    if isinstance(depth, bool) or not isinstance(depth, int | np.integer) or depth < 1:
        raise ValueError(f"`depth` must be a whole number of hidden layers, at least 1, got {depth!r}.")
    if not (np.isfinite(sigma_w) and sigma_w > 0):
        raise ValueError(
            f"`sigma_w` must be a finite number above 0, got {sigma_w!r}; He's value for ReLU is 2 ** 0.5."
        )
    if not (np.isfinite(sigma_b) and sigma_b >= 0):
        raise ValueError(f"`sigma_b` must be a finite number, 0 or above, got {sigma_b!r}.")
    return Network(int(depth), normalizers.get(normalizer), activations.get(activation), float(sigma_w), float(sigma_b))
