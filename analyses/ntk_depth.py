"""The NTK of 20 digits through depth: without normaliser, with weight mean and with BatchNorm, infinite and finite width."""

import math
from dataclasses import dataclass

from analyses import command
from ntkcheck.regime.ntk_depth import ntk_of_digits

MEASURE = ntk_of_digits


@dataclass(frozen=True)
class Grid:
    """Two digits of each class."""

    normalizer: tuple[str, ...] = ("none", "weight_mean", "batch_norm")
    depth: tuple[int, ...] = (2, 5, 20, 50)
    width: tuple[float, ...] = (math.inf, 300)
    batch_size: int = 20
    networks: int = 5


TOY = Grid(normalizer=("weight_mean",), depth=(2,), width=(math.inf, 16), batch_size=6, networks=2)

if __name__ == "__main__":
    command(__file__)
