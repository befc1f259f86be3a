"""Memory under MimicNorm and under BatchNorm: what the paper prints, and what a backward pass has to keep."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Tables
from ntkcheck.output import COLOURS, MARKERS

TABLES = ("saved_residuals",)
OPTIONAL = ("reference_gpu",)
CLAIMS = ("MN-10",)
ACCOUNTS = {
    "printed": "printed: memory in all",
    "saved_by_fused_layers": "saved for the backward pass",
    "saved_as_differentiated": "the same, BatchNorm\ndifferentiated automatically",
    "device_peak": "the device's peak",
}
SIZE = ["model", "form", "image", "batch", "classes"]
NORMALIZERS = ("batch_norm", "mimic_norm")
FORMS = {"imagenet": "ImageNet", "cifar": "CIFAR"}


def caption(tables: Tables) -> str:
    """What is counted, and what is not."""
    table = _printed(tables)
    saved, printed = table["saved_by_fused_layers_ratio"], table["printed_ratio"]
    peak = " Diamonds: the most that the device had in use in a training step." if "reference_gpu" in tables else ""
    return (
        f"MimicNorm over BatchNorm, {len(table)} models at batch {table['batch'].iloc[0]}. Left: ratio of memory; right: memory "
        "saved, BatchNorm less MimicNorm. Circles: totals printed by the paper, with parameters, gradients, workspaces and the "
        "allocator's reserve. Squares: bytes that the backward pass keeps where layers have backward passes of their own, as in "
        "the paper's framework. Triangles: the same where BatchNorm is written out and differentiated automatically. These bytes "
        f"are counted by shape evaluation, without noise.{peak} Printed ratios {printed.min():.2f} to {printed.max():.2f} (median "
        f"{np.median(printed):.2f}), counted ones {saved.min():.2f} to {saved.max():.2f} (median {np.median(saved):.2f})."
    )


def draw(tables: Tables) -> Figure:
    """One row a model, the ratio and the difference."""
    table = _printed(tables)
    names = [f"{model}, {FORMS[form]}" for model, form in zip(table["model"], table["form"], strict=True)]
    figure = Figure(figsize=(7.4, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for index, (account, label) in enumerate(ACCOUNTS.items()):
        if f"{account}_batch_norm_MB" in table:
            batch_norm, mimic_norm = (np.asarray(table[f"{account}_{name}_MB"]) for name in NORMALIZERS)
            _draw_points(left, mimic_norm / batch_norm, index, label)
            _draw_points(right, (batch_norm - mimic_norm) / 1e3, index, label)
    left.axvline(1, color="0.7", linewidth=0.8, zorder=0)
    left.set(yticks=range(len(names)), yticklabels=names, xlabel="MimicNorm / BatchNorm", xlim=(0.25, 1.05))
    right.set(xlabel="BatchNorm - MimicNorm, GB", xscale="log")
    right.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    left.invert_yaxis()
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _printed(tables: Tables) -> pd.DataFrame:
    """The models whose memory the paper prints, with the device's peak where it was measured."""
    table = tables["saved_residuals"].dropna(subset="printed_ratio")
    if "reference_gpu" not in tables:
        return table
    peaks = tables["reference_gpu"].query("quantity == 'device_peak_bytes'")
    for name in NORMALIZERS:
        column = peaks[peaks["normalizer"] == name].assign(
            **{f"device_peak_{name}_MB": lambda rows: rows["value"] / 1e6}
        )
        table = table.merge(column[[*SIZE, f"device_peak_{name}_MB"]], on=SIZE, how="left")
    return table


def _draw_points(axis: Axes, x: np.ndarray, index: int, label: str) -> None:
    axis.plot(x, range(len(x)), MARKERS[index], color=COLOURS[index], markersize=5, markerfacecolor="none", label=label)
    axis.grid(axis="y", color="0.92")
