"""Correlations of input pairs through depth, without normaliser.

MimicNorm, supplement, Fig. 1: everything tends to 1, and infinite width says how.
"""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Tables, pick
from ntkcheck.drawing import fan, line, points
from ntkcheck.output import COLOURS

TABLES = ("pair_correlations",)
CLAIMS = ("MN-1",)
WIDTH = 300
BANDS = (2.5, 25, 50, 75, 97.5)
MARKED = (1, 2, 4, 8, 16, 32, 50)
NETWORKS, THEORY = 1, 0


def caption(tables: Tables) -> str:
    """Sizes and counts, and what the bands and the error bars are."""
    row = pick(tables["pair_correlations"], normalizer="none", width=WIDTH).iloc[0]
    return (
        f"ReLU networks at He's variance (the critical point), no normaliser, {row['pairs']} disjoint pairs of digits. Orange: "
        f"width {WIDTH}; bands hold 50 and 95 percent of the pairs of a network, the line is their median, points are the median "
        f"and the ends of the 95-percent band; all are means over {row['n']} networks, error bars 2 standard errors. Black, "
        "dashed: infinite width, the same percentiles, without sampling noise. Right: the distance from 1 of the median and "
        "of the smallest correlation, with the asymptote 9 pi^2 / (2 depth^2) of the critical point in infinite width."
    )


def draw(tables: Tables) -> Figure:
    """The distribution through depth, and its distance from 1 on logarithmic axes."""
    table = tables["pair_correlations"]
    figure = Figure(figsize=(7, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_distribution(left, table, "none")
    left.set(ylim=(0, 1.02), ylabel="correlation of a pair")
    left.text(15, 0.62, f"width {WIDTH}: median, 50 % and\n95 % of the pairs", color=COLOURS[NETWORKS], fontsize=8)
    left.text(15, 0.5, "dashed: infinite width", fontsize=8)
    _draw_distance(right, table)
    return figure


def draw_distribution(axis: Axes, table: pd.DataFrame, normalizer: str) -> None:
    """Percentiles of the pairs' correlations through depth, of networks and of infinite width."""
    networks = {p: pick(table, normalizer=normalizer, width=WIDTH, quantity=f"percentile {p:g}") for p in BANDS}
    fan(axis, networks[50]["at"], {p: rows["value"] for p, rows in networks.items()}, NETWORKS)
    for p in (BANDS[0], 50, BANDS[-1]):
        rows = networks[p][networks[p]["at"].isin(MARKED)]
        points(axis, rows["at"], rows["value"], 2 * rows["sem"], NETWORKS, markersize=3)
        theory = pick(table, normalizer=normalizer, width=math.inf, quantity=f"percentile {p:g}")
        line(axis, theory["at"], theory["value"], THEORY, linestyle="--", linewidth=1)
    axis.set(xlabel="depth (hidden layers)")


def _draw_distance(axis: Axes, table: pd.DataFrame) -> None:
    for quantity, marker in (("percentile 0", "v"), ("percentile 50", "o")):
        theory = pick(table, normalizer="none", width=math.inf, quantity=quantity)
        line(axis, theory["at"], 1 - theory["value"], THEORY, linestyle="--", linewidth=1)
        rows = pick(table, normalizer="none", width=WIDTH, quantity=quantity)
        rows = rows[rows["at"].isin(MARKED)]
        points(axis, rows["at"], 1 - rows["value"], 2 * rows["sem"], NETWORKS, marker=marker)
    depth = np.array([14.0, 50.0])
    line(axis, depth, 9 * np.pi**2 / 2 / depth**2, THEORY, linewidth=0.9, color="0.5")
    axis.text(20, 0.14, r"$9\pi^2 / (2\,$depth$^2)$", color="0.4", fontsize=8)
    axis.text(2.1, 0.82, "smallest of the pairs", color=COLOURS[NETWORKS], fontsize=8)
    axis.text(1, 0.24, "median pair", color=COLOURS[NETWORKS], fontsize=8)
    axis.text(9, 0.012, "dashed:\ninfinite width", fontsize=8)
    axis.set(xscale="log", yscale="log", xlabel="depth (hidden layers)", ylabel="1 - correlation")
    axis.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axis.minorticks_off()
