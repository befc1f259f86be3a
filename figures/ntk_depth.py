"""The neural tangent kernel through depth, in infinite and in finite width."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from figures import Tables, pick
from ntkcheck.drawing import line, points
from ntkcheck.output import COLOURS

TABLES = ("ntk_depth",)
CLAIMS = ("MN-4", "LT-2", "LT-4", "LT-7")
NAMES = {"none": "no normaliser", "weight_mean": "weight mean", "batch_norm": "BatchNorm"}


def caption(tables: Tables) -> str:
    """Sizes and counts, and what the triangles, lines and error bars are."""
    networks = tables["ntk_depth"].query("n > 0").iloc[0]
    return (
        f"NTK of {networks['batch_size']} digits, two of each class, sorted by class, over its mean diagonal; ReLU at He's "
        "variance without bias. Left: upper triangles infinite width, lower triangles the mean of "
        f"{networks['n']} networks of width {networks['width']:.0f}. Right: eigenvalues by rank, most shallow and deepest; lines "
        "infinite width, without sampling noise, points the networks' mean with error bars of 2 standard errors. Without "
        "normaliser, at the critical point, entries off the diagonal tend to one value, so that one large eigenvalue stays; "
        "with weight mean and BatchNorm they tend to 0 (BatchNorm's last eigenvalue is that of the batch's mean). "
        "Networks of finite width leave the infinite one with depth: their spectra widen again."
    )


def draw(tables: Tables) -> Figure:
    """One row a normaliser: the kernel at every depth, and the spectra."""
    table = tables["ntk_depth"]
    depths = sorted(int(depth) for depth in table["depth"].unique())
    figure = Figure(figsize=(9.6, 5.6), layout="constrained")
    axes = figure.subplots(len(NAMES), len(depths) + 1, width_ratios=[1] * len(depths) + [1.6])
    entries = pick(table, quantity="entry")
    images = [
        _draw_kernel(axis, pick(entries, normalizer=name, depth=depth))
        for row, name in zip(axes[:, :-1], NAMES, strict=True)
        for axis, depth in zip(row, depths, strict=True)
    ]
    for row, (name, label) in zip(axes, NAMES.items(), strict=True):
        row[0].set_ylabel(label)
        _draw_spectra(row[-1], pick(table, normalizer=name, quantity="eigenvalue"), (depths[0], depths[-1]))
    for axis, depth in zip(axes[0], depths, strict=False):
        axis.set_title(f"depth {depth}")
    for index, depth in ((1, depths[0]), (2, depths[-1])):
        axes[0, -1].text(6, 6 / 2 ** (index - 1), f"depth {depth}", color=COLOURS[index], fontsize=8)
    axes[0, -1].set_title("eigenvalues / mean diagonal")
    axes[-1, -1].set_xlabel("rank")
    bar = figure.colorbar(images[0], ax=axes[:, :-1], location="bottom", shrink=0.5, aspect=40, pad=0.02, extend="both")
    bar.set_label("entry / mean diagonal")
    return figure


def _draw_kernel(axis: Axes, table: pd.DataFrame) -> AxesImage:
    batch = int(table["batch_size"].iloc[0])
    rows, columns = np.triu_indices(batch)
    kernel = np.empty((batch, batch))
    kernel[columns, rows] = pick(table.query("n > 0"), quantity="entry")["value"]
    kernel[rows, columns] = pick(table, width=math.inf)["value"]
    image = axis.imshow(kernel, vmin=0, vmax=0.6, cmap="cividis", interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    return image


def _draw_spectra(axis: Axes, table: pd.DataFrame, depths: tuple[int, int]) -> None:
    for index, depth in enumerate(depths, start=1):
        theory = pick(table, depth=depth, width=math.inf)
        line(axis, theory["at"], theory["value"], index)
        networks = pick(table.query("n > 0"), depth=depth)
        points(axis, networks["at"], networks["value"], 2 * networks["sem"], index, markersize=3.5)
    axis.set(yscale="log")
    axis.set_xticks([1, 5, 10, 15, 20])
