"""The largest value that BatchNorm puts out, by batch size, on populations of light and heavy tails and on real ones."""

from dataclasses import dataclass

from analyses import command
from ntkcheck.claims.largest_value import largest_value

MEASURE = largest_value


@dataclass(frozen=True)
class Grid:
    """Populations of 64 features by batch size."""

    population: tuple[str, ...] = ("gaussian", "student_t", "digits_layer", "patches")
    batch_size: tuple[int, ...] = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
    features: int = 64
    batches: int = 200
    samples: int = 16384
    seed: int = 0


TOY = Grid(("gaussian",), (4, 16), 4, 5, 100)

if __name__ == "__main__":
    command(__file__)
