"""The largest value that BatchNorm puts out."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Tables, column, pick
from figures._disturbance import log_axes, sizes, spread
from figures._full_size import devices, largest_runs, networks
from ntkcheck.claims.largest_value import gaussian_largest
from ntkcheck.drawing import end_label, line, points
from ntkcheck.output import COLOURS, MARKERS

TABLES = ("largest_value", "reference_activations")
CLAIMS = ("RB-1",)
POPULATIONS = {
    "gaussian": "N(0, I)",
    "student_t": "Student's t,\n5 d.o.f.",
    "digits_layer": "digits, 2nd layer",
    "patches": "patches",
}
MODELS = {
    ("vgg16", "cifar"): "VGG-16",
    ("squeezenet1_0", "cifar"): "SqueezeNet",
    ("resnet50", "imagenet"): "ResNet-50",
}
LARGE = 3  # standard deviations: what the claim calls overly large


def caption(tables: Tables) -> str:
    """Counts, quantiles, bounds, sizes."""
    row = pick(tables["largest_value"], quantity="largest").iloc[0]
    layers = _full_size(tables["reference_activations"])
    layer, sizes = layers.iloc[0], " or ".join(str(size) for size in sorted(layers["image"].unique()))
    return (
        f"Left: largest absolute value in a batch of m samples of d = {row['features']} features after BatchNorm, before scale "
        f"and shift. Points: mean of {row['n']} batches, error bars 4 standard errors (where none is seen they are smaller than "
        "the point); bands: 5% to 95% quantile over batches. Black line: N(0, I), as if the m d values were independent. "
        f"Dashed: the bound sqrt(m - 1); dotted: {LARGE} standard deviations. Right: full-size models with BatchNorm at random "
        f"weights, {layer['batch']} images of {sizes} pixels a side on {devices(layers)}, by layer, mean of {networks(layers)} "
        "draws of weights, bands 4 standard errors; small marks: each layer's bound, sqrt(m - 1) with m the images times the "
        "positions."
    )


def draw(tables: Tables) -> Figure:
    """By batch size, and through the layers of full-size models."""
    figure = Figure(figsize=(9, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _by_batch_size(left, tables["largest_value"])
    _by_layer(right, _full_size(tables["reference_activations"]))
    return figure


def _full_size(table: pd.DataFrame) -> pd.DataFrame:
    """BatchNorm's layers alone, with the bound that each has."""
    rows = pick(largest_runs(table), normalizer="batch_norm", kind="activations")
    rows = rows.loc[[shown in MODELS for shown in zip(rows["model"], rows["form"], strict=True)]]
    value, share = (pick(rows, quantity=name) for name in ("largest_value", "largest_over_bound"))
    both = value.merge(share, on=["model", "form", "at"], suffixes=("", "_share"))
    return both.assign(bound=both["value"] / both["value_share"])


def _by_batch_size(axis: Axes, table: pd.DataFrame) -> None:
    m = np.unique(column(table, "batch_size"))
    features = column(table, "features")[0]
    axis.plot(m, np.sqrt(m - 1), color="0.3", linestyle="--", linewidth=1)
    axis.axhline(LARGE, color="0.3", linestyle=":", linewidth=1)
    line(axis, m, [gaussian_largest(int(size), features) for size in m], 0)
    ends: dict[str, float] = {}
    for index, population in enumerate(POPULATIONS):
        rows = pick(table, population=population)
        mean = pick(rows, quantity="largest")
        low, high = (pick(rows, quantity="largest_quantile", at=level)["value"] for level in (0.05, 0.95))
        axis.fill_between(m, low, high, color=COLOURS[index], alpha=0.15, linewidth=0)
        points(axis, mean["batch_size"], mean["value"], 4 * mean["sem"], index)
        ends[POPULATIONS[population]] = column(mean, "value")[-1]
    heights = spread(ends, 1.12)
    for index, label in enumerate(ends):
        end_label(axis, m[-1], heights[label], label, index)
    log_axes(axis)
    sizes(axis, (4, 16, 64, 256, 1024))
    axis.annotate(
        "sqrt(m - 1)", (180, 13.4), xytext=(-6, 2), textcoords="offset points", ha="right", fontsize=8, color="0.3"
    )
    axis.set(xlabel="batch size m", ylabel="largest normalised value", ylim=(1.2, 40))


def _by_layer(axis: Axes, table: pd.DataFrame) -> None:
    for index, ((model, form), label) in zip((0, 1, 6), MODELS.items(), strict=True):  # told apart in grey
        rows = pick(table, model=model, form=form)
        value, error = column(rows, "value"), 4 * column(rows, "sem")
        style = {"marker": MARKERS[index], "markersize": 3.5, "markerfacecolor": "white", "linewidth": 1}
        line(axis, rows["at"], value, index, band=(value - error, value + error), label=label, **style)
        axis.plot(rows["at"], rows["bound"], color=COLOURS[index], marker="_", markersize=5, linestyle="none")
    axis.axhline(LARGE, color="0.3", linestyle=":", linewidth=1)
    axis.legend(loc="lower right", bbox_to_anchor=(1, 0.02), frameon=False, ncols=3, columnspacing=1, handlelength=1.2)
    log_axes(axis, x=())
    axis.set(xlabel="layer", ylabel="largest normalised value", ylim=(1.2, 1000))
