"""Lemma 1 of MimicNorm: the second moment that centring leaves, fan-in from 4 to 256 at fan-out 64, and the other way round."""

from dataclasses import dataclass

from analyses import command
from ntkcheck.regime.lemma_1 import centred_moment

MEASURE = centred_moment


@dataclass(frozen=True)
class Grid:
    """Fan-ins and fan-outs."""

    fan_in: tuple[int, ...] = (4, 8, 16, 32, 64, 128, 256)
    fan_out: tuple[int, ...] = (4, 64)
    rho: float = 0.5
    draws: int = 20000


TOY = Grid(fan_in=(4, 16), fan_out=(8,), draws=500)

if __name__ == "__main__":
    command(__file__)
