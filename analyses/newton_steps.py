"""SND and conditioning of IterNorm by Newton steps T, between BatchNorm and ZCA, on generated and real populations."""

from dataclasses import dataclass

from analyses import command
from ntkcheck.disturbance.setting import setting_disturbance
from ntkcheck.sweep import cells

MEASURE = setting_disturbance


@dataclass(frozen=True)
class Grid:
    """A normaliser on four populations of 32 features, batches of 256."""

    normalizer: str
    group_size: tuple[int | None, ...] = (8, 32)
    iterations: tuple[int | None, ...] = (None,)
    population: tuple[str, ...] = ("gaussian", "spectrum", "digits_layer", "patches")
    batch_size: int = 256
    features: int = 32
    draws: int = 30
    samples: int = 1797
    seed: int = 0


GRID = (
    *cells(Grid("iter_norm", iterations=(1, 2, 3, 4, 5, 6, 7, 9))),
    *cells(Grid("zca")),
    *cells(Grid("batch_norm", group_size=(None,))),
)
TOY = Grid("iter_norm", (4,), (1, 2), ("gaussian",), 16, 4, 4, 100)

if __name__ == "__main__":
    command(__file__)
