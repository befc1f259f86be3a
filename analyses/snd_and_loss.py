"""SND at initialisation against final losses of small dense networks on digits: BatchNorm, ZCA, IterNorm; batches of 2 to 256."""

from dataclasses import dataclass

from analyses import command
from ntkcheck.claims.dense_training import BATCH_NORM, SETTINGS, cell
from ntkcheck.training.disturbance import disturbance_and_loss

MEASURE = disturbance_and_loss
GRID = [cell(setting) for setting in dict.fromkeys((*BATCH_NORM, *SETTINGS))]


@dataclass(frozen=True)
class Grid:
    """Of one normaliser; the study is `GRID`, which holds the settings of claim IN-9."""

    normalizer: str = "batch_norm"
    batch_size: tuple[int, ...] = (64,)
    group_size: int = 1
    iterations: int = 0
    epochs: int = 1
    rate: float = 0.1
    seeds: int = 2
    seed: int = 0


TOY = Grid()

if __name__ == "__main__":
    command(__file__)
