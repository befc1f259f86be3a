"""Conditioning of IterNorm's output by Newton steps."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Tables, pick
from figures._disturbance import POPULATIONS, log_axes, one, study
from ntkcheck.drawing import line, points
from ntkcheck.output import COLOURS

TABLES = ("newton_steps", "newton_steps_whole")
CLAIMS = ("IN-1", "IN-6")
GROUPS = (8, 32)
COLUMNS = ("spectrum", "digits_layer", "patches")
QUANTITIES = {"condition_number": "condition number", "stable_rank": "stable rank"}
TEXT = {"textcoords": "offset points", "fontsize": 8}


def caption(tables: Tables) -> str:
    """Counts, error bars and references."""
    batches, whole = (pick(tables[name], quantity="condition_number").iloc[0] for name in TABLES)
    samples = str(batches["method"]).partition(" ")[0]
    return (
        "Spectrum of the covariance of IterNorm's output against the number T of Newton steps: condition number (largest over "
        f"smallest eigenvalue) and stable rank (trace over the largest), d = {whole['features']} features in groups of "
        f"{GROUPS[0]} and of {GROUPS[1]}. Points: batches of m = {batches['batch_size']}, {samples} samples in all, error bars "
        "4 standard errors by the jackknife (where none is seen they are smaller than the point). Lines: all "
        f"{whole['samples']} samples of the population as one batch, without sampling noise. Dashed: ZCA in the same groups; "
        "dotted: BatchNorm, both on the whole population. Points lie below lines where batches fill the directions of small "
        "eigenvalue with their own fluctuations."
    )


def draw(tables: Tables) -> Figure:
    """Two rows, condition number and stable rank; a column a population."""
    figure = Figure(figsize=(9.4, 5), layout="constrained")
    axes = figure.subplots(2, len(COLUMNS), sharex=True)
    for place, population in enumerate(COLUMNS):
        batches, whole = (pick(study(tables, name), population=population) for name in TABLES)
        for axis, quantity in zip(axes[:, place], QUANTITIES, strict=True):
            _panel(axis, batches, whole, quantity)
        log_axes(axes[0, place], x=())
        axes[1, place].set_ylim(bottom=0)
        axes[0, place].set_title(POPULATIONS[population], fontsize=9)
        axes[1, place].set_xlabel("Newton steps T")
    for axis, words in zip(axes[:, 0], QUANTITIES.values(), strict=True):
        axis.set_ylabel(f"{words} of the output")
    _label(axes[1, 0], pick(study(tables, "newton_steps_whole"), population=COLUMNS[0]))
    return figure


def _panel(axis: Axes, batches: pd.DataFrame, whole: pd.DataFrame, quantity: str) -> None:
    for index, g in enumerate(GROUPS, start=1):
        steps = {"normalizer": "iter_norm", "group_size": g}
        measured, alone = (pick(table, quantity=quantity, **steps) for table in (batches, whole))
        line(axis, alone["iterations"], alone["value"], index)
        points(axis, measured["iterations"], measured["value"], 4 * measured["sem"], index)
        axis.axhline(
            one(whole, quantity, normalizer="zca", group_size=g), color=COLOURS[index], linestyle="--", linewidth=1
        )
    axis.axhline(one(whole, quantity, normalizer="batch_norm"), color=COLOURS[0], linestyle=":", linewidth=1)
    axis.set_xticks((1, 3, 5, 7, 9, 12, 15))


def _label(axis: Axes, table: pd.DataFrame) -> None:
    """What the colours and the horizontal lines are, in one panel alone."""
    for index, (g, place, side) in enumerate(zip(GROUPS, (15, 1), ("right", "left"), strict=True), start=1):
        height = one(table, "stable_rank", normalizer="zca", group_size=g)
        axis.annotate(f"ZCA, g = {g}", (place, height), xytext=(0, 3), ha=side, color=COLOURS[index], **TEXT)
    height = one(table, "stable_rank", normalizer="batch_norm")
    axis.annotate("BatchNorm", (15, height), xytext=(0, -10), ha="right", **TEXT)
