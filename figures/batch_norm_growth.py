"""BatchNorm by the size of the mini-batch: growth of gradients and of the distance of close samples per layer."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Tables, pick
from ntkcheck.drawing import line, points
from ntkcheck.output import COLOURS

TABLES = ("batch_norm_growth",)
CLAIMS = ("MN-2", "LT-1")
QUANTITIES = {"gradient growth": "squared gradient", "chi_1": "squared distance of\nclose samples ($\\chi_1$)"}
LIMITS = {"relu": math.pi / (math.pi - 1), "identity": 1.0}
LABELS = {"relu": "$\\pi/(\\pi-1)$", "identity": "1"}
TITLES = {"relu": "ReLU", "identity": "identity: $(B-2)/(B-3)$"}


def caption(tables: Tables) -> str:
    """What lines, points and error bars are, and the largest departure."""
    networks = tables["batch_norm_growth"].query("n > 0").iloc[0]
    return (
        "Growth per layer with BatchNorm over B samples, less its limit for B -> infinity (pi / (pi - 1) with ReLU, 1 with the "
        "identity). Lines: infinite width at the batch's fixed point, closed form (gradient) and one quadrature (close samples), "
        "without sampling noise; chi_1 is infinite at B = 4, both at B = 3. Points: mean of "
        f"{networks['n']} networks of width {networks['width']:.0f} and depth {networks['depth']} on orthogonal inputs, the first "
        "and the last fifth of the layers left out, error bars 2 standard errors (a bar down to the axis goes on below it). "
        "A batch with two close samples needs about 0.44 B layers to come e times closer to its fixed point; with ReLU at "
        "B = 128, networks of this width and depth are not yet where the law is."
    )


def draw(tables: Tables) -> Figure:
    """One panel an activation."""
    figure = Figure(figsize=(7.4, 3.3), layout="constrained")
    for axis, activation in zip(figure.subplots(1, 2), LIMITS, strict=True):
        _draw_panel(axis, pick(tables["batch_norm_growth"], activation=activation), activation)
    return figure


def _draw_panel(axis: Axes, table: pd.DataFrame, activation: str) -> None:
    limit = LIMITS[activation]
    for index, (quantity, label) in enumerate(QUANTITIES.items(), start=1):
        law = pick(table, quantity=quantity, width=math.inf)
        line(axis, law["batch_size"], law["value"] - limit, index)
        networks = pick(table, quantity=quantity).query("n > 0")
        points(axis, networks["batch_size"], networks["value"] - limit, 2 * networks["sem"], index)
        if activation == "relu":
            axis.text(*((5.2, 0.04), (20, 0.4))[index - 1], label, color=COLOURS[index], fontsize=8)
    axis.set(xscale="log", yscale="log", xlabel="batch size B", title=TITLES[activation])
    axis.set_ylabel(f"growth per layer - {LABELS[activation]}")
    axis.set_xticks([5, 8, 16, 32, 64, 128], ["5", "8", "16", "32", "64", "128"])
    axis.minorticks_off()
