"""SND against the batch size: BatchNorm, whitening in groups, IterNorm and LayerNorm, on a Gaussian population and on real ones."""

from dataclasses import dataclass

from analyses import command
from ntkcheck.disturbance.setting import setting_disturbance
from ntkcheck.sweep import cells

MEASURE = setting_disturbance


@dataclass(frozen=True)
class Grid:
    """A normaliser on three populations of 32 features, by batch size."""

    normalizer: str
    batch_size: tuple[int, ...]
    group_size: tuple[int | None, ...] = (None,)
    iterations: int | None = None
    population: tuple[str, ...] = ("gaussian", "digits_layer", "patches")
    features: int = 32
    draws: int = 30
    samples: int = 1797
    seed: int = 0


GRID = (
    *cells(Grid("batch_norm", (4, 8, 16, 64, 256, 1024))),
    *cells(Grid("zca", (16, 32, 64, 256, 1024), group_size=(8,))),
    *cells(Grid("zca", (48, 64, 128, 256, 1024), group_size=(32,))),
    *cells(Grid("iter_norm", (8, 16, 32, 64, 256, 1024), group_size=(32,), iterations=5)),
    *cells(Grid("layer_norm", (16, 1024))),
)
TOY = Grid("batch_norm", (4, 16), population=("gaussian",), features=4, draws=4, samples=100)

if __name__ == "__main__":
    command(__file__)
