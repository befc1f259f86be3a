"""Conditioning of IterNorm's output by Newton steps T where a batch's statistics are the population's: the whole as one batch."""

from dataclasses import dataclass

from analyses import command
from ntkcheck.disturbance.whole import whole_conditioning
from ntkcheck.sweep import cells

MEASURE = whole_conditioning


@dataclass(frozen=True)
class Grid:
    """A normaliser on the populations of the study `newton_steps` with spectra of their own."""

    normalizer: str
    group_size: tuple[int | None, ...] = (8, 32)
    iterations: tuple[int | None, ...] = (None,)
    population: tuple[str, ...] = ("spectrum", "digits_layer", "patches")
    features: int = 32
    samples: int = 1797
    seed: int = 0


GRID = (
    *cells(Grid("iter_norm", iterations=(1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15))),
    *cells(Grid("zca")),
    *cells(Grid("batch_norm", group_size=(None,))),
)
TOY = Grid("iter_norm", (4,), (1, 2), ("spectrum",), 4, 100)

if __name__ == "__main__":
    command(__file__)
