"""The spread of pair correlations that is left in deep networks, by their width: the law that infinite width does not show."""

import math
from dataclasses import dataclass

from analyses import command
from ntkcheck.regime import pairs

MEASURE = pairs.settled_spread


@dataclass(frozen=True)
class Grid:
    """Widths around MimicNorm's 300; 30 layers, because beyond 20 the spread is settled."""

    normalizer: tuple[str, ...] = ("batch_norm", "weight_mean")
    width: tuple[float, ...] = (75, 150, 300, 600, 1200, 2400, math.inf)
    depth: int = 30
    pairs: int = 64
    batch_size: int = 32
    networks: int = 6


TOY = Grid(normalizer=("batch_norm",), width=(10,), depth=22, pairs=4, batch_size=4, networks=2)

if __name__ == "__main__":
    command(__file__)
