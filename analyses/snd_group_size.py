"""SND of ZCA against the group size and the number of features on N(0, I), and where its first-order law ends, m near g."""

from dataclasses import dataclass

from analyses import command
from ntkcheck.claims.cells import disturbances
from ntkcheck.sweep import cells

MEASURE = disturbances


@dataclass(frozen=True)
class Grid:
    """ZCA in groups of g, by batch size; with distinct samples in a batch where it is no more than twice the group."""

    group_size: tuple[int, ...]
    batch_size: tuple[int, ...] = (512,)
    features: int = 64
    replacement: bool = True
    normalizer: str = "zca"
    iterations: int = 0
    condition: float = 1.0
    seed: int = 0
    sets: int = 4
    anchors: int = 8192
    draws: int = 4


def distinct(group_size: int, *batch_size: int) -> Grid:
    """Batches of distinct samples: with one of them twice, a batch of g + 2 has a singular covariance."""
    return Grid((group_size,), batch_size, replacement=False, draws=2)


GRID = (
    *cells(Grid((1, 4, 16), features=16)),
    *cells(Grid((1, 4, 16, 32), features=32)),
    *cells(Grid((1, 4, 16, 64))),
    *cells(Grid((4,), (16, 64, 256))),
    *cells(Grid((16,), (64, 256))),
    *cells(Grid((64,), (256,))),
    *cells(distinct(4, 6, 8)),
    *cells(distinct(16, 18, 20, 24, 32)),
    *cells(distinct(64, 66, 72, 80, 96, 128)),
)
TOY = Grid((1, 4), (16,), features=4, sets=2, anchors=100, draws=2)

if __name__ == "__main__":
    command(__file__)
