"""Memory under MimicNorm and under BatchNorm: what the paper prints, what a backward pass keeps, what a compiled step takes."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Tables, column, pick, rows
from figures._full_size import on_gpu
from ntkcheck.output import COLOURS, MARKERS

TABLES = ("saved_residuals", "reference")
CLAIMS = ("MN-10",)
COMPILED = {"temporary_bytes": "compiled", "device_peak_bytes": "device_peak"}  # quantities, and accounts below
ACCOUNTS = {
    "printed": "printed: memory in all",
    "saved_by_fused_layers": "saved for the backward pass",
    "saved_as_differentiated": "the same, BatchNorm\ndifferentiated automatically",
    "compiled": "temporary memory of the\ncompiled step, GPU",
    "device_peak": "the GPU's peak in the step",
}
SIZE = ["model", "form", "image", "batch", "classes"]
NORMALIZERS = ("batch_norm", "mimic_norm")
FORMS = {"imagenet": "ImageNet", "cifar": "CIFAR"}


def caption(tables: Tables) -> str:
    """What is counted, what is not, and what the compiler makes of it."""
    table = _printed(tables)
    ranges = {account: _range(table, account) for account in ACCOUNTS}
    resnet = pick(table, model="resnet50", form="imagenet").iloc[0]
    both_peaks = table[[f"device_peak_{name}_MB" for name in NORMALIZERS]].dropna()
    missing = " and of ".join(_labels(table.loc[np.isnan(column(table, "compiled_batch_norm_MB"))])) or "no model"
    before, after = (resnet[f"compiled_{name}_MB"] / 1e3 for name in NORMALIZERS)
    return (
        f"MimicNorm over BatchNorm, {len(table)} models at batch {table['batch'].iloc[0]}. Left: ratio of memory; right: "
        "BatchNorm less MimicNorm, linear within 0.1 GB of 0 and logarithmic beyond. Circles: totals printed by the paper, "
        f"with parameters, gradients, workspaces and the allocator's reserve ({ranges['printed']}). Squares: bytes that the "
        "backward pass keeps where layers have backward passes of their own, as in the paper's framework "
        f"({ranges['saved_by_fused_layers']}). Triangles: the same where BatchNorm is written out and differentiated "
        f"automatically ({ranges['saved_as_differentiated']}). Diamonds: temporary memory of the training step that XLA "
        f"compiles for a GPU, which fuses and recomputes and need not keep what the frameworks keep ({ranges['compiled']}; "
        f"ResNet-50 on ImageNet: {before:.1f} and {after:.1f} GB). Triangles downward: the most that the GPU had in use, of the "
        f"{len(both_peaks)} models where it was measured under both normalisers ({ranges['device_peak']}); the compiled step of "
        f"{missing} was not measured. All are counted, without noise."
    )


def draw(tables: Tables) -> Figure:
    """One row a model, the ratio and the difference."""
    table = _printed(tables)
    figure = Figure(figsize=(7.8, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for index, (account, label) in enumerate(ACCOUNTS.items()):
        batch_norm, mimic_norm = (np.asarray(table[f"{account}_{name}_MB"]) for name in NORMALIZERS)
        _draw_points(left, mimic_norm / batch_norm, index, label)
        _draw_points(right, (batch_norm - mimic_norm) / 1e3, index, label)
    left.axvline(1, color="0.7", linewidth=0.8, zorder=0)
    right.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    left.set(yticks=range(len(table)), yticklabels=_labels(table), xlabel="MimicNorm / BatchNorm", xlim=(0.25, 1.1))
    right.set_xscale("symlog", linthresh=0.1, linscale=0.5)
    right.set(xlabel="BatchNorm - MimicNorm, GB", xlim=(-0.2, 80))
    right.set_xticks([-0.1, 0, 0.1, 1, 10], ["-0.1", "0", "0.1", "1", "10"])
    left.invert_yaxis()
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _labels(table: pd.DataFrame) -> list[str]:
    return [f"{model}, {FORMS[form]}" for model, form in zip(table["model"], table["form"], strict=True)]


def _range(table: pd.DataFrame, account: str) -> str:
    ratio = (table[f"{account}_mimic_norm_MB"] / table[f"{account}_batch_norm_MB"]).dropna()
    return f"{ratio.min():.2f} to {ratio.max():.2f}, median {ratio.median():.2f}"


def _printed(tables: Tables) -> pd.DataFrame:
    """The models whose memory the paper prints, with the accounts of a GPU where they were taken."""
    table, gpu = tables["saved_residuals"].dropna(subset="printed_ratio"), on_gpu(tables["reference"])
    for quantity, account in COMPILED.items():
        for name in NORMALIZERS:
            found = rows(gpu, quantity=quantity, normalizer=name)
            of_normalizer = found.assign(**{f"{account}_{name}_MB": found["value"] / 1e6})
            table = table.merge(of_normalizer[[*SIZE, f"{account}_{name}_MB"]], on=SIZE, how="left")
    return table


def _draw_points(axis: Axes, x: np.ndarray, index: int, label: str) -> None:
    axis.plot(x, range(len(x)), MARKERS[index], color=COLOURS[index], markersize=5, markerfacecolor="none", label=label)
    axis.grid(axis="y", color="0.92")
