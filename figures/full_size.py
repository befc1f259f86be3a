"""Full-size models at initialisation: correlations, gradients and the NTK's spectrum, beside the theory of straight networks."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Tables, column, pick, rows
from figures._full_size import devices, largest_runs, networks
from ntkcheck.drawing import points

TABLES = ("reference_activations", "reference_curves")
CLAIMS = ("MN-4", "MN-9", "LT-2", "LT-3")
MODELS = {
    ("vgg11", "cifar"): "VGG-11",
    ("vgg16", "cifar"): "VGG-16",
    ("squeezenet1_0", "cifar"): "SqueezeNet",
    ("resnet18", "cifar"): "ResNet-18",
    ("resnet50", "imagenet"): "ResNet-50, 224 px",
    ("wide_resnet28_10", "cifar"): "WRN-28-10",
}
NAMES = {  # with the index of colour and marker
    "batch_norm": ("BatchNorm", 1),
    "mimic_norm": ("MimicNorm", 2),
    "iter_norm": ("IterNorm", 3),
    "layer_norm": ("LayerNorm", 4),
    "none": ("none", 0),
}
SPECTRUM = "ntk_one_spectrum"
QUANTITIES = {
    "correlation": "correlation of two images",
    "signal_gradient": "gradient of the signal",
    SPECTRUM: "NTK eigenvalue / trace",
}
ROUNDING = 1e-6  # of the trace: eigenvalues below it are 0 in float32
GROWTH = (np.pi / (np.pi - 1)) ** 0.5  # of the gradient per layer, straight network with BatchNorm


def caption(tables: Tables) -> str:
    """What was measured on what, counts, what the lines are, and what is missing."""
    table = largest_runs(pd.concat([tables[name] for name in TABLES], ignore_index=True))
    shown = pd.concat(
        [rows(table, model=model, form=form, quantity=quantity) for model, form in MODELS for quantity in QUANTITIES]
    )
    measured = len(pick(table, kind="gradients")[["model", "form"]].drop_duplicates())
    ntk = rows(shown, quantity=SPECTRUM)
    sizes, classes = (_both(shown.drop(ntk.index), name) for name in ("image", "classes"))
    logits = ntk["classes"].iloc[0]
    return (
        f"{len(MODELS)} of the {measured} models that were measured, at initialisation on {devices(shown)}: "
        f"{shown['batch'].max()} images of {sizes} pixels a side, {classes} classes ({logits} for the NTK{_fewer(ntk)}). Means of "
        f"{networks(shown)} random networks, error bars 2 standard errors. Top: cosine of pairs of images "
        "at every normaliser's place, before scale and shift; grey line: 0, where straight networks in chaos end up (1 in order). "
        "MimicNorm's last place is its BatchNorm before the loss. Middle: norm of the gradient there; grey line: (pi / (pi - "
        "1))^(1/2) per layer, the growth of a straight network with BatchNorm over large batches, through the last BatchNorm; "
        "branches and pooling slow it. Bottom: eigenvalues of the first logit's NTK over their sum; BatchNorm before the loss, "
        "in MimicNorm, makes the last two 0 but for rounding, and they are not shown (a bar down to the axis goes on below "
        f"it). Its bars are long because the trace differs between networks, with the scale of the outputs: {_scatter(table)}. "
        "Not every model was measured under every normaliser: what is not drawn was not."
    )


def _fewer(ntk: pd.DataFrame) -> str:
    """The models whose NTK is of fewer images than the others'."""
    few = ntk.loc[ntk["batch"] < ntk["batch"].max()]
    names = [MODELS[place] for place in dict.fromkeys(zip(few["model"], few["form"], strict=True))]
    return f"; {few['batch'].iloc[0]} images for {' and '.join(names)}" if names else ""


def _both(table: pd.DataFrame, name: str) -> str:
    return " and ".join(str(value) for value in np.unique(column(table, name)))


def draw(tables: Tables) -> Figure:
    """One column a model, one row a quantity."""
    table = largest_runs(pd.concat([tables[name] for name in TABLES], ignore_index=True))
    figure = Figure(figsize=(1.2 + 2.1 * len(MODELS), 6.6), layout="constrained")
    axes = figure.subplots(len(QUANTITIES), len(MODELS), sharey="row", squeeze=False)
    for row, (quantity, label) in zip(axes, QUANTITIES.items(), strict=True):
        for axis, (model, form) in zip(row, MODELS, strict=True):
            _draw_panel(axis, rows(table, model=model, form=form, quantity=quantity), quantity)
        row[0].set_ylabel(label)
    for axis, title in zip(axes[0], MODELS.values(), strict=True):
        axis.set_title(title)
    handles = {
        label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    ordered = [label for label, _ in NAMES.values() if label in handles]
    figure.legend([handles[label] for label in ordered], ordered, loc="outside lower center", ncols=5, frameon=False)
    return figure


def _draw_panel(axis: Axes, table: pd.DataFrame, quantity: str) -> None:
    if quantity == SPECTRUM:
        axis.set(xlabel="rank", yscale="log", ylim=(1e-5, 3))
    else:
        axis.set(xlabel="normaliser's place")
    if table.empty:
        axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", color="0.4")
        axis.set_xticks([])
        return
    _draw_theory(axis, table, quantity)
    for name in NAMES:
        found = rows(table, normalizer=name)
        if len(found):
            _draw_points(axis, found, name, quantity == SPECTRUM)


def _draw_points(axis: Axes, table: pd.DataFrame, name: str, spectrum: bool) -> None:
    label, index = NAMES[name]
    at, value, sem = (column(table, each) for each in ("at", "value", "sem"))
    if not spectrum:
        points(axis, at, value, 2 * sem, index, markersize=3, label=label)
        return
    scale, shown = value.sum(), value > ROUNDING * value.sum()
    style = {"markersize": 2.5, "elinewidth": 0.5, "capsize": 0, "label": label}
    points(axis, at[shown], value[shown] / scale, 2 * sem[shown] / scale, index, **style)


def _draw_theory(axis: Axes, table: pd.DataFrame, quantity: str) -> None:
    if quantity == "correlation":
        axis.axhline(0, color="0.6", linewidth=1, zorder=0)
    elif quantity == "signal_gradient":
        of_batch_norm = pick(table, normalizer="batch_norm")
        last, value = (column(of_batch_norm, name)[-2] for name in ("at", "value"))  # the readout's input is the last
        places = np.arange(1, last + 1)
        growth = value * GROWTH ** (last - places)
        shown = growth < 2 * column(table, "value").max()
        axis.plot(places[shown], growth[shown], color="0.6", linewidth=1, zorder=0)
        axis.set_yscale("log")


def _scatter(table: pd.DataFrame) -> str:
    """Relative standard error of the largest eigenvalue, by normaliser."""
    first = pick(table, quantity=SPECTRUM, at=1)
    of = {name: pick(first, normalizer=name) for name in ("mimic_norm", "batch_norm")}
    largest = {name: (column(each, "sem") / column(each, "value")).max() for name, each in of.items()}
    both = (f"{value:.0%} with {NAMES[name][0]}" for name, value in largest.items())
    return "relative standard error of the largest eigenvalue up to " + " and ".join(both)
