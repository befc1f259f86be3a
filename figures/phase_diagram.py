"""Order and chaos over the scales of weights and biases: chi_1 of the correlation map."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from figures import Tables, pick
from ntkcheck.measurement import INFINITE

TABLES = ("phase_diagram",)
CLAIMS = ("MN-1", "MN-2", "MN-4")
NAMES = {"none": "no normaliser", "weight_mean": "weight mean", "layer_norm": "LayerNorm", "batch_norm": "BatchNorm"}
ACTIVATIONS = {"relu": "ReLU", "tanh": "tanh"}
COLOURS = "PuOr_r"  # told apart with every common colour vision; white is critical
CORRELATIONS = (0.25, 0.5, 0.75)
FLAT = 1e-6  # what differs by less does not differ


def caption(tables: Tables) -> str:
    """What chi_1 is, and what lines and colours are."""
    table = tables["phase_diagram"]
    return (
        f"In {INFINITE} width, from the correlation map at the fixed point of lengths, on a grid of {table['at'].nunique()} x "
        f"{table['sigma_b'].nunique()} scales; no sampling noise. Colour: chi_1, the growth per layer of the squared distance of "
        "close inputs over their length; below 1 (violet) order, where all inputs become alike, above 1 (orange) chaos. Solid: "
        "chi_1 = 1. Dashed: the correlation that all pairs tend to is 0.75, 0.5 and 0.25, in this order from the solid line. "
        "BatchNorm (with the population's statistics) does not see "
        "the scales. Where lengths grow without end (ReLU, large sigma_w) biases are lost: without normaliser every such network "
        "is critical, with weight mean it has the chi_1 = 1.467 of BatchNorm."
    )


def draw(tables: Tables) -> Figure:
    """One panel an activation and a normaliser."""
    table = tables["phase_diagram"]
    figure = Figure(figsize=(9.2, 4.4), layout="constrained")
    axes = figure.subplots(len(ACTIVATIONS), len(NAMES), sharex=True, sharey=True)
    panels = [(i, j, activation, name) for i, activation in enumerate(ACTIVATIONS) for j, name in enumerate(NAMES)]
    meshes = [_draw_panel(axes[i, j], pick(table, activation=a, normalizer=name)) for i, j, a, name in panels]
    for axis, label in zip(axes[0], NAMES.values(), strict=True):
        axis.set_title(label)
    for axis, label in zip(axes[:, 0], ACTIVATIONS.values(), strict=True):
        axis.set_ylabel(f"{label}\n$\\sigma_b$")
    for axis in axes[1]:
        axis.set_xlabel("$\\sigma_w$")
    bar = figure.colorbar(meshes[0], ax=axes, label="$\\chi_1$", shrink=0.8, extend="both")
    bar.set_ticks([0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75])
    return figure


def _draw_panel(axis: Axes, table: pd.DataFrame) -> QuadMesh:
    chi, fixed = (
        pick(table, quantity=quantity).pivot(index="sigma_b", columns="at", values="value")
        for quantity in ("chi_1", "fixed point")
    )
    sigma_w, sigma_b = np.asarray(chi.columns, float), np.asarray(chi.index, float)
    chi, fixed = np.asarray(chi, float), np.asarray(fixed, float)
    mesh = axis.pcolormesh(sigma_w, sigma_b, chi, norm=TwoSlopeNorm(1, 0.25, 1.75), cmap=COLOURS, rasterized=True)
    if np.ptp(chi) < FLAT:
        axis.text(sigma_w.mean(), sigma_b.mean(), f"$\\chi_1$ = {chi.mean():.3f}", ha="center")
    elif chi.max() > 1 + FLAT:
        biased = slice(1, None)  # without bias the phase is another one; lines do not lead there
        axis.contour(sigma_w, sigma_b[biased], chi[biased], [1.0], colors="black", linewidths=1.6)
        lines = {"colors": "black", "linewidths": 0.8, "linestyles": "--"}
        axis.contour(sigma_w, sigma_b[biased], fixed[biased], CORRELATIONS, **lines)
    return mesh
