"""SND of whitening against the group size, and how far its law holds."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Tables, column, pick
from figures._disturbance import log_axes, sizes
from ntkcheck.drawing import end_label, line, points
from ntkcheck.snd import isotropic_zca

TABLES = ("snd_group_size",)
CLAIMS = ("IN-4", "IN-5")
BATCH = 512  # of the left panel
WIDTHS = (16, 32, 64)
GROUPS = (4, 16, 64)  # of the right panel


def caption(tables: Tables) -> str:
    """The law, counts, error bars."""
    row = tables["snd_group_size"].iloc[0]
    return (
        f"ZCA in groups of g features on N(0, I). Left: SND at m = {BATCH} against g, for d = 16, 32 and 64 features; g = 1 is "
        "BatchNorm, and the last point of each is full whitening. Lines: the law sqrt(d (g + 5) / (4 m)), the root mean square "
        "of the first-order fluctuation; SND, its mean, lies below by about 1 / (3 d) of it. Right: SND over the law, "
        f"d = {GROUPS[-1]}, against m / g down to m = g + 2: 1 is the law, shaded 5% on either side, dotted 1 - 1 / (3 d). "
        f"Points: mean of {row['sets']} independent populations of {row['anchors']} samples, all anchors, error bars "
        "4 standard errors over them (where none is seen they are smaller than the point); batches of at most 2 g samples are "
        "drawn without replacement from the population."
    )


def draw(tables: Tables) -> Figure:
    """Against the group size, and over the law."""
    table = _means(tables["snd_group_size"])
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _by_group(left, pick(table, batch_size=BATCH))
    _over_law(right, pick(table, features=GROUPS[-1]))
    return figure


def _means(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard error over independent sets."""
    by_cell = pick(table, quantity="snd").groupby(["features", "group_size", "batch_size"], as_index=False)
    return by_cell.agg(mean=("value", "mean"), error=("value", "sem"))


def _by_group(axis: Axes, table: pd.DataFrame) -> None:
    for index, d in enumerate(WIDTHS):
        found = pick(table, features=d)
        groups = [2**k for k in range(int(np.log2(d)) + 1)]
        line(axis, groups, [isotropic_zca(d, g, BATCH) for g in groups], index)
        points(axis, found["group_size"], found["mean"], 4 * found["error"], index)
        end_label(axis, d, column(found, "mean")[-1], f"d = {d}", index)
    log_axes(axis)
    sizes(axis, (1, 4, 16, 64))
    axis.set(xlabel="group size g", ylabel=f"SND at m = {BATCH}", xlim=(0.85, 110))


def _over_law(axis: Axes, table: pd.DataFrame) -> None:
    d = GROUPS[-1]
    axis.axhspan(0.95, 1.05, color="0.92", linewidth=0)
    axis.axhline(1, color="0.4", linewidth=1)
    axis.axhline(1 - 1 / (3 * d), color="0.4", linewidth=1, linestyle=":")
    for index, g in enumerate(GROUPS):
        found = pick(table, group_size=g)
        of_law = np.array([isotropic_zca(d, g, m) for m in column(found, "batch_size")])
        x, ratio = column(found, "batch_size") / g, column(found, "mean") / of_law
        points(axis, x, ratio, 4 * found["error"] / of_law, index + 3, linestyle="-")
        place = {"xytext": (8, 0)} if g == GROUPS[-1] else {"xytext": (-6, 0), "ha": "right"}
        end_label(axis, x[0], ratio[0], f"g = {g}", index + 3, **place)
    log_axes(axis, y=())
    axis.set(
        xlabel="batch size over group size, m / g",
        ylabel="SND / law",
        xlim=(0.4, 170),
        ylim=(0.94, 1.06),
        yticks=(0.95, 1, 1.05),
    )
