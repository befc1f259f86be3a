"""What figures have in common: points with error bars, lines with bands, distributions, labels at the ends of lines."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ntkcheck.output import COLOURS, MARKERS


def points(axis: Axes, x: ArrayLike, value: ArrayLike, error: ArrayLike, index: int, **style: Any) -> None:
    """Measured values with their errors, in the colour and marker of that index, unconnected.

    Args:
        axis: Where to.
        x: Places.
        value: Values.
        error: Half the length of the error bars.
        index: Of the colour and the marker.
        style: Of `Axes.errorbar`, before the defaults.
    """
    defaults = {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 4.5,
        "markerfacecolor": "white",
        "linestyle": "none",
        "linewidth": 1,
        "capsize": 2,
        "zorder": 3,
    }
    axis.errorbar(x, value, error, **{**defaults, **style})


def line(
    axis: Axes,
    x: ArrayLike,
    value: ArrayLike,
    index: int,
    band: tuple[ArrayLike, ArrayLike] | None = None,
    **style: Any,
) -> None:
    """A line in the colour of that index, with a band where one is given.

    Args:
        axis: Where to.
        x: Places.
        value: Values.
        index: Of the colour.
        band: Its lower and its upper end.
        style: Of `Axes.plot`, before the defaults.
    """
    colour = COLOURS[index % len(COLOURS)]
    if band is not None:
        axis.fill_between(x, *band, color=colour, alpha=0.2, linewidth=0)
    axis.plot(x, value, **{"color": colour, "linewidth": 1.4, **style})


def end_label(axis: Axes, x: float, y: float, text: str, index: int, **style: Any) -> None:
    """A label right of a point, in the colour of that index; what stands there is not cut by the axes.

    Args:
        axis: Where to.
        x: Of the point.
        y: Of the point.
        text: The label.
        index: Of the colour.
        style: Of `Axes.annotate`, before the defaults.
    """
    defaults: dict[str, Any] = {
        "xytext": (4, 0),
        "textcoords": "offset points",
        "verticalalignment": "center",
        "color": COLOURS[index % len(COLOURS)],
        "annotation_clip": False,
        "fontsize": 8,
    }
    axis.annotate(text, (x, y), **{**defaults, **style})


def fan(axis: Axes, x: ArrayLike, percentiles: Mapping[float, ArrayLike], index: int) -> None:
    """A distribution along x: a band from each percentile p < 50 to 100 - p, the inner ones darker, and the median as a line.

    Args:
        axis: Where to.
        x: Places.
        percentiles: Values by percentile; 50 is among them, and with every p also 100 - p.
        index: Of the colour.
    """
    colour = COLOURS[index % len(COLOURS)]
    for p in sorted(p for p in percentiles if p < 50):
        axis.fill_between(x, percentiles[p], percentiles[100 - p], color=colour, alpha=0.22, linewidth=0)
    axis.plot(x, percentiles[50], color=colour, linewidth=1.4)
