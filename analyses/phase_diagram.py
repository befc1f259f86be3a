"""Phase diagrams over sigma_w and sigma_b: no normaliser, weight mean, LayerNorm and BatchNorm, before ReLU and tanh."""

from dataclasses import dataclass

from analyses import command
from ntkcheck.regime import phases

MEASURE = phases.phase_row


@dataclass(frozen=True)
class Grid:
    """Scales on both sides of every transition; sigma_w along each row."""

    normalizer: tuple[str, ...] = ("none", "weight_mean", "layer_norm", "batch_norm")
    activation: tuple[str, ...] = ("relu", "tanh")
    sigma_b: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    least: float = 0.5
    most: float = 3.0
    places: int = 26


TOY = Grid(normalizer=("layer_norm",), sigma_b=(0.0, 0.5), places=3)

if __name__ == "__main__":
    command(__file__)
