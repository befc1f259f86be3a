"""Conditioning of the output and SND of every normaliser, group size and number of Newton steps, batches of 256."""

from dataclasses import dataclass

from analyses import command
from ntkcheck.disturbance.setting import setting_disturbance
from ntkcheck.sweep import cells

MEASURE = setting_disturbance


@dataclass(frozen=True)
class Grid:
    """A normaliser on three populations of 32 features; cells of the study `newton_steps` are among them."""

    normalizer: tuple[str, ...]
    group_size: tuple[int | None, ...] = (None,)
    iterations: tuple[int | None, ...] = (None,)
    population: tuple[str, ...] = ("spectrum", "digits_layer", "patches")
    batch_size: int = 256
    features: int = 32
    draws: int = 30
    samples: int = 1797
    seed: int = 0


GRID = (
    *cells(Grid(("batch_norm", "layer_norm", "scaled_batch_norm"))),
    *cells(Grid(("moving_batch_norm", "memorized_batch_norm", "mabn", "power_norm"))),
    *cells(Grid(("zca", "pca", "cholesky"), (8, 32))),
    *cells(Grid(("zca",), (16,))),
    *cells(Grid(("iter_norm",), (8, 32), (1, 2, 3, 4, 5, 6, 7, 9))),
    *cells(Grid(("iter_norm",), (16,), (3, 5, 7))),
)
TOY = Grid(("batch_norm",), population=("spectrum",), batch_size=16, features=4, draws=4, samples=100)

if __name__ == "__main__":
    command(__file__)
