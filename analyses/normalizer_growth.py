"""Growth of gradients and of the distance of close samples under every normaliser, in infinite width, ReLU at He's variance."""

from dataclasses import dataclass

from analyses import command
from ntkcheck.regime import phases

MEASURE = phases.normalizer_growth


@dataclass(frozen=True)
class Grid:
    """One batch of 64 Gaussian inputs; whitenings in groups of 16."""

    normalizer: tuple[str, ...] = ("none", "layer_norm", "weight_mean", "batch_norm", "iter_norm", "zca", "cholesky")
    activation: str = "relu"
    batch_size: int = 64
    features: int = 64
    depth: int = 10
    samples: int = 2048


TOY = Grid(normalizer=("layer_norm",), batch_size=8, features=8, depth=5, samples=64)

if __name__ == "__main__":
    command(__file__)
