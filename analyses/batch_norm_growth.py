"""Growth of gradients and of the distance of close samples under BatchNorm, by the size of the mini-batch: law and networks."""

import math
from dataclasses import dataclass

from analyses import command
from ntkcheck.regime import batch_sizes

MEASURE = batch_sizes.batch_norm_growth


@dataclass(frozen=True)
class Grid:
    """Batches from where chi_1 is finite; networks deep enough that all but the largest batches settle."""

    activation: tuple[str, ...] = ("relu", "identity")
    batch_size: tuple[int, ...] = (5, 6, 8, 12, 16, 32, 64, 128)
    width: tuple[float, ...] = (math.inf, 512)
    depth: int = 40
    networks: int = 8


TOY = Grid(activation=("identity",), batch_size=(8,), width=(16,), depth=3, networks=2)

if __name__ == "__main__":
    command(__file__)
