"""What the figures of SND have in common: the populations' names in words, numbers out of their tables, logarithmic axes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from figures import Tables, column, pick

POPULATIONS = {
    "gaussian": "Gaussian, N(0, I)",
    "spectrum": "Gaussian, eigenvalues 1000 to 1",
    "digits_layer": "digits, 2nd layer of a network",
    "patches": "patches of photographs",
}
ROUNDING = 1e-9  # SND below it is that of a normaliser that sees no other sample


def study(tables: Tables, name: str) -> pd.DataFrame:
    """A study's table, with 0 for a group size or a number of Newton steps where there is none."""
    return tables[name].fillna({"group_size": 0, "iterations": 0})


def law(table: pd.DataFrame, **where: object) -> pd.DataFrame:
    """The exact law where there is one, else first order."""
    rows = pick(table, **where)
    return pick(rows, quantity="law_exact" if "law_exact" in column(rows, "quantity") else "law_first_order")


def one(table: pd.DataFrame, quantity: str, **where: object) -> float:
    """The one value of a quantity at these parameters."""
    return column(pick(table, quantity=quantity, **where), "value").item()


def without_layer_norm(table: pd.DataFrame) -> str:
    """That LayerNorm has no SND, in words.

    Raises:
        ValueError: Where it has: its samples do not see each other.
    """
    silent = np.abs(column(pick(table, quantity="snd", normalizer="layer_norm"), "value")).max()
    if silent > ROUNDING:
        raise ValueError(
            f"`table` must have an SND of 0 but for rounding for LayerNorm, got {silent}; measure it again."
        )
    return "LayerNorm's SND, measured as well, is 0 but for rounding."


def log_axes(axis: Axes, x: Sequence[float] = (1, 2, 5), y: Sequence[float] = (1, 2, 5)) -> None:
    """Logarithmic axes with ticks at these multiples of the powers of ten, as numbers such as 0.5; an axis without any stays."""
    for multiples, of_axis, scale in ((x, axis.xaxis, axis.set_xscale), (y, axis.yaxis, axis.set_yscale)):
        if multiples:
            scale("log")
            of_axis.set_major_locator(LogLocator(subs=multiples))
            of_axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            of_axis.set_minor_formatter(NullFormatter())
            of_axis.set_minor_locator(NullLocator())


def sizes(axis: Axes, values: Sequence[int]) -> None:
    """Ticks at batch sizes or group sizes, on a logarithmic axis."""
    axis.set_xticks(values, [str(value) for value in values])
    axis.minorticks_off()


def spread(heights: dict[str, float], ratio: float = 1.25) -> dict[str, float]:
    """Heights of labels on a logarithmic axis, in order, each at least `ratio` above the one below."""
    found: dict[str, float] = {}
    for name, height in sorted(heights.items(), key=lambda item: item[1]):
        found[name] = max([height, *(ratio * below for below in found.values())])
    return found
