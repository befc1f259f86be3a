"""Correlations of input pairs through depth, with BatchNorm and with weight mean, and the spread that finite width leaves.

MimicNorm, supplement, Fig. 2: correlations concentrate in [-0.2, 0.2].
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Tables, pick
from figures.mimicnorm_fig1 import WIDTH, draw_distribution
from ntkcheck.drawing import line, points
from ntkcheck.output import COLOURS
from ntkcheck.regime.pairs import spread_constant
from ntkcheck.regime.theory import NEAR_ZERO, SETTLED

TABLES = ("pair_correlations", "correlation_spread")
CLAIMS = ("MN-4", "MN-5")
NAMES = {"batch_norm": "BatchNorm", "weight_mean": "weight mean"}


def caption(tables: Tables) -> str:
    """Sizes and counts, the share within +-0.2, and what the bands and the error bars are."""
    table, spread = tables["pair_correlations"], tables["correlation_spread"]
    row, wide = pick(table, normalizer="batch_norm", width=WIDTH).iloc[0], spread.iloc[0]
    shares = " and ".join(f"{_share(table, name):.1%} with {label}" for name, label in NAMES.items())
    return (
        f"ReLU networks, {row['pairs']} disjoint pairs of digits; BatchNorm over batches of {row['batch_size']}. Left and middle: "
        f"width {WIDTH}; bands hold 50 and 95 percent of the pairs of a network, points are the median and the ends of the "
        f"95-percent band; means over {row['networks']} networks, error bars 2 standard errors; black, dashed: infinite "
        f"width. Grey: [-0.2, 0.2]; beyond depth {SETTLED} it holds {shares} of a network's pairs, on average. Right: standard "
        f"deviation over {wide['pairs']} pairs, mean over depths {SETTLED + 1} to {wide['depth']} and over {wide['networks']} "
        f"networks, error bars 2 standard errors, against the law a / sqrt(width), a = {spread_constant():.2f}, derived for "
        "weight mean, not fitted."
    )


def draw(tables: Tables) -> Figure:
    """Both distributions through depth, and their spread against the width."""
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for axis, (name, label) in zip((left, middle), NAMES.items(), strict=True):
        axis.axhspan(-NEAR_ZERO, NEAR_ZERO, color="0.92", zorder=0)
        draw_distribution(axis, tables["pair_correlations"], name)
        axis.set(ylim=(-0.6, 1), title=f"{label}, width {WIDTH}", ylabel="correlation of a pair")
    _draw_spread(right, tables["correlation_spread"])
    return figure


def _draw_spread(axis: Axes, table: pd.DataFrame) -> None:
    widths = np.unique(np.asarray(table["width"], float))[:-1]  # the last is infinite
    line(axis, widths, spread_constant() / widths**0.5, 0)
    axis.text(widths[1], spread_constant() / widths[0] ** 0.5, f"{spread_constant():.2f} width$^{{-1/2}}$", fontsize=8)
    for index, name in ((1, "batch_norm"), (2, "weight_mean")):
        rows = pick(table, normalizer=name, quantity="standard deviation")
        rows = rows[np.isfinite(rows["width"])]
        points(axis, rows["width"], rows["value"], 2 * rows["sem"], index)
        axis.text(widths[0], (0.035, 0.047)[index - 1], NAMES[name], color=COLOURS[index], fontsize=8)
    axis.set(
        xscale="log", yscale="log", xlabel="width", ylabel="standard deviation over pairs", title="beyond depth 20"
    )
    axis.set_xticks(widths, [f"{width:g}" for width in widths])
    axis.set_yticks([0.03, 0.05, 0.1, 0.2], ["0.03", "0.05", "0.1", "0.2"])
    axis.minorticks_off()


def _share(table: pd.DataFrame, normalizer: str) -> float:
    rows = pick(table, normalizer=normalizer, width=WIDTH, quantity="share within 0.2")
    return float(np.mean(rows["value"][rows["at"] > SETTLED]))
