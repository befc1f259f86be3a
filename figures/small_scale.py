"""Small scales and their small learning rate: test accuracy of ResNet-18 by seed, and how far scales and shifts move."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Tables, pick
from ntkcheck.drawing import points
from ntkcheck.measurement import summarize

TABLES = ("training_paired",)
CLAIMS = ("RB-2", "RB-4")
SETTINGS = {"batch_norm": "scale 1", "scaled_batch_norm": "scale 0.1, its learning rate / 100"}
MOVED = {"scale_displacement": "scales", "shift_displacement": "shifts", "weight_displacement": "weights"}


def caption(tables: Tables) -> str:
    """Seeds, test images, and the gain: its mean, its median, and what a few seeds make of it."""
    table = tables["training_paired"]
    accuracy = pick(table, quantity="test_accuracy")
    gain = _gains(table)
    mean = summarize(gain)
    without = summarize(np.sort(gain)[:-2])
    return (
        f"ResNet-18 trained {accuracy['steps'].iloc[0]} steps on the bundled digits, {mean.n} seeds; the same seed gives both "
        f"settings the same weights and batches. Left: accuracy on {accuracy['n'].iloc[0]} test images by seed, in the order of "
        f"the standard setting's; error bars: 2 binomial standard errors (none at 100%). The gain is {mean.value:.2f} ± "
        f"{mean.sem:.2f} points (mean and standard error of paired differences), its median {np.median(gain):.2f}; "
        f"{(gain > 0).sum()} seeds gain, {(gain < 0).sum()} lose. Without the two largest gains, where the standard setting "
        f"trained badly, which is a look and no test, the mean is {without.value:.2f} ± {without.sem:.2f}. Right: root mean "
        "square over the network of what the scales moved from their first value, of the shifts, and of the weights over that "
        "of the first weights; every seed, bars: means."
    )


def draw(tables: Tables) -> Figure:
    """Accuracy by seed, and displacements."""
    figure = Figure(figsize=(7.6, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
    _by_seed(left, pick(tables["training_paired"], quantity="test_accuracy"))
    _displacements(right, tables["training_paired"])
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def _by_seed(axis: Axes, table: pd.DataFrame) -> None:
    standard = pick(table, normalizer="batch_norm").sort_values("value")
    order = list(standard["seed"])
    for index, (normalizer, label) in enumerate(SETTINGS.items(), start=1):
        rows = pick(table, normalizer=normalizer).set_index("seed").loc[order]
        points(axis, range(len(order)), 100 * rows["value"], 200 * rows["sem"], index, label=label)
    axis.set(xlabel="seed", ylabel="test accuracy, %", xticks=range(len(order)))
    axis.set_xticklabels([str(seed) for seed in order])


def _displacements(axis: Axes, table: pd.DataFrame) -> None:
    for index, normalizer in enumerate(SETTINGS, start=1):
        for place, quantity in enumerate(MOVED):
            values = np.asarray(pick(table, normalizer=normalizer, quantity=quantity)["value"])
            x = place + 0.3 * (index - 1.5)
            points(axis, np.full(len(values), x), values, np.zeros(len(values)), index, capsize=0, markersize=3.5)
            axis.plot((x - 0.12, x + 0.12), (values.mean(),) * 2, color="0.2", linewidth=1.5, zorder=4)
    axis.set(yscale="log", ylabel="displacement in training")
    axis.set_xticks(range(len(MOVED)), list(MOVED.values()))


def _gains(table: pd.DataFrame) -> np.ndarray:
    """In percentage points, by seed."""
    by_seed = pick(table, quantity="test_accuracy").pivot(index="seed", columns="normalizer", values="value")
    return 100 * (by_seed["scaled_batch_norm"] - by_seed["batch_norm"]).to_numpy()
