"""Full-size models at initialisation: correlations, gradients and the NTK's spectrum, beside the theory of straight networks."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Tables, pick
from ntkcheck.drawing import points

TABLES = ("reference_cpu_curves",)
OPTIONAL = ("reference_gpu_curves",)
CLAIMS = ("MN-4", "MN-9", "LT-2")
NAMES = {"batch_norm": "BatchNorm", "mimic_norm": "MimicNorm", "none": "none", "weight_mean": "weight mean"}
QUANTITIES = {
    "correlation": "correlation of two images",
    "signal_gradient": "gradient of the signal",
    "ntk_all_spectrum": "NTK eigenvalue / trace",
}
GROWTH = (np.pi / (np.pi - 1)) ** 0.5  # of the gradient per layer, straight network with BatchNorm


def caption(tables: Tables) -> str:
    """What was measured on what, counts, and what the lines are."""
    table = _table(tables)
    sizes = ", ".join(f"{model} ({_rows(table, model)['batch'].iloc[0]} images)" for model in table["model"].unique())
    return (
        f"{sizes}, at initialisation on {table['device'].iloc[0]}; means of {table['n'].min()} random networks, error bars 2 "
        "standard errors. Top: cosine of pairs of images at every normaliser's place, before scale and shift; grey line: 0, where "
        "straight networks in chaos end up (1 in order). MimicNorm's last place is its BatchNorm before the loss. Middle: norm of "
        "the gradient there; grey line: (pi / (pi - 1))^(1/2) per layer, the growth of a straight network with BatchNorm over "
        "large batches, through the last layer; branches and pooling slow it. Bottom: eigenvalues of the NTK, trace over the "
        "logits, over their sum; BatchNorm before the loss, in MimicNorm, makes the last one 0, not shown (a "
        "bar down to the axis goes on below it)."
    )


def draw(tables: Tables) -> Figure:
    """One column a model, one row a quantity."""
    table = _table(tables)
    models = list(table["model"].unique())
    figure = Figure(figsize=(1.2 + 2.7 * len(models), 7), layout="constrained")
    axes = figure.subplots(len(QUANTITIES), len(models), sharey="row", squeeze=False)
    for row, (quantity, label) in zip(axes, QUANTITIES.items(), strict=True):
        for axis, model in zip(row, models, strict=True):
            _draw_panel(axis, _rows(table, model), quantity)
        row[0].set_ylabel(label)
    for axis, model in zip(axes[0], models, strict=True):
        axis.set_title(model)
    handles = {
        label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(NAMES), frameon=False)
    return figure


def _draw_panel(axis: Axes, table: pd.DataFrame, quantity: str) -> None:
    table = pick(table, quantity=quantity)
    if quantity == "ntk_all_spectrum":
        axis.set(xlabel="rank", yscale="log", ylim=(5e-4, 2))
    else:
        axis.set(xlabel="normaliser's place, input to output")
        _draw_theory(axis, table, quantity)
    for index, (name, label) in enumerate(NAMES.items(), start=1):
        rows = table[table["normalizer"] == name]
        scale = rows["value"].sum() if quantity == "ntk_all_spectrum" else 1.0
        rows = rows[rows["value"] > 1e-6 * scale] if quantity == "ntk_all_spectrum" else rows
        if len(rows):
            points(axis, rows["at"], rows["value"] / scale, 2 * rows["sem"] / scale, index, markersize=3.5, label=label)


def _draw_theory(axis: Axes, table: pd.DataFrame, quantity: str) -> None:
    if quantity == "correlation":
        axis.axhline(0, color="0.6", linewidth=1, zorder=0)
        return
    last = table[table["normalizer"] == "batch_norm"].iloc[-2]  # the readout's input is the last
    places = np.arange(1, last["at"] + 1)
    growth = last["value"] * GROWTH ** (last["at"] - places)
    shown = growth < 2 * table["value"].max()
    axis.plot(places[shown], growth[shown], color="0.6", linewidth=1, zorder=0)
    axis.set_yscale("log")


def _table(tables: Tables) -> pd.DataFrame:
    return tables.get("reference_gpu_curves", tables["reference_cpu_curves"])


def _rows(table: pd.DataFrame, model: str) -> pd.DataFrame:
    """Of one model, at the largest batch that every quantity has."""
    rows = pick(table, model=model)
    batches = [pick(rows, quantity=quantity)["batch"].to_numpy().max() for quantity in QUANTITIES]
    return pick(rows, batch=min(batches))
