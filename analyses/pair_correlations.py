"""Correlations of 200 pairs of digits through 50 layers of width 300: without normaliser, with BatchNorm, with weight mean."""

import math
from dataclasses import dataclass

from analyses import command
from ntkcheck.regime import pairs

MEASURE = pairs.pair_correlations


@dataclass(frozen=True)
class Grid:
    """The sizes of MimicNorm's supplement, and infinite width."""

    normalizer: tuple[str, ...] = ("none", "batch_norm", "weight_mean")
    width: tuple[float, ...] = (math.inf, 300)
    depth: int = 50
    pairs: int = 200
    batch_size: int = 32
    networks: int = 10


TOY = Grid(normalizer=("weight_mean",), width=(math.inf, 20), depth=4, pairs=8, batch_size=8, networks=2)

if __name__ == "__main__":
    command(__file__)
