"""What a check may use: the run's measurements and its inputs."""

import zlib
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from ntkcheck.measurement import Measurements
from ntkcheck.stats import Estimate

Answers = dict[str, Estimate | None]


class Evidence(NamedTuple):
    """A run as the checks of claims see it.

    Attributes:
        found: Its measurements.
        batches: Its mini-batches, (batches, batch, features).
        depth: Its hidden layers.
        seed: Of what a check samples itself.
    """

    found: Measurements
    batches: Float[np.ndarray, "batches batch features"]
    depth: int
    seed: int

    @property
    def batch_size(self) -> int:
        """Samples that are normalised together."""
        return self.batches.shape[1]

    def generator(self, name: str) -> np.random.Generator:
        """NumPy's generator for the quantity of this name, whatever the order of the checks."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def keys(self, name: str, count: int) -> list[Array]:
        """JAX keys for the quantity of this name."""
        return list(jax.random.split(jax.random.fold_in(jax.random.key(self.seed), zlib.crc32(name.encode())), count))


def exact(value: float) -> Estimate:
    """A value without sampling noise."""
    return Estimate(float(value), 0.0, 0)
