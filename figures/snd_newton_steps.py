"""SND of IterNorm by Newton steps."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Tables, column, pick
from figures._disturbance import POPULATIONS, law, one, study
from ntkcheck.drawing import line, points
from ntkcheck.output import COLOURS

TABLES = ("newton_steps",)
CLAIMS = ("IN-5",)
GROUPS = (8, 32)
COLUMNS = ("gaussian", "spectrum", "digits_layer", "patches")


def caption(tables: Tables) -> str:
    """Counts, error bars, laws and references."""
    row = pick(tables["newton_steps"], quantity="snd").iloc[0]
    return (
        f"SND of IterNorm against the number T of Newton steps, groups of {GROUPS[0]} and of {GROUPS[1]} among "
        f"d = {row['features']} features, batches of m = {row['batch_size']}. Above: SND as the paper defines it; "
        "below: over the root mean square of the output, which few steps leave small. Points: measured, "
        f"{row['n']} anchors, {row['draws']} draws an anchor on average, error bars 4 standard errors "
        "(where none is seen they are smaller than the point). Lines: linear response of the Newton polynomial, first order in "
        "1 / sqrt(m). Dashed: ZCA in the same groups, to which IterNorm tends; dotted: BatchNorm."
    )


def draw(tables: Tables) -> Figure:
    """Two rows, SND and relative SND; a column a population."""
    table = study(tables, "newton_steps")
    figure = Figure(figsize=(9.4, 5), layout="constrained")
    axes = figure.subplots(2, len(COLUMNS), sharex=True)
    for place, population in enumerate(COLUMNS):
        rows = pick(table, population=population)
        for axis, quantity in zip(axes[:, place], ("snd", "snd_relative"), strict=True):
            _panel(axis, rows, quantity)
        axes[0, place].set_title(POPULATIONS[population], fontsize=9)
        axes[1, place].set_xlabel("Newton steps T")
    axes[0, 0].set_ylabel("SND")
    axes[1, 0].set_ylabel("SND / rms of the output")
    _label(axes[0, 0], pick(table, population=COLUMNS[0]))
    return figure


def _panel(axis: Axes, table: pd.DataFrame, quantity: str) -> None:
    for index, g in enumerate(GROUPS, start=1):
        steps = {"normalizer": "iter_norm", "group_size": g}
        measured, of_law = pick(table, quantity=quantity, **steps), law(table, **steps)
        scale = 1.0 if quantity == "snd" else column(pick(table, quantity="rms", **steps), "value")
        line(axis, of_law["iterations"], column(of_law, "value") / scale, index)
        points(axis, measured["iterations"], measured["value"], 4 * measured["sem"], index)
        axis.axhline(
            one(table, quantity, normalizer="zca", group_size=g), color=COLOURS[index], linestyle="--", linewidth=1
        )
    axis.axhline(one(table, quantity, normalizer="batch_norm"), color=COLOURS[0], linestyle=":", linewidth=1)
    axis.set_xticks((1, 3, 5, 7, 9))
    axis.set_ylim(bottom=0)


def _label(axis: Axes, table: pd.DataFrame) -> None:
    """What the colours and the horizontal lines are, in the first panel alone."""
    for index, g in enumerate(GROUPS, start=1):
        height = one(table, "snd", normalizer="zca", group_size=g)
        axis.annotate(
            f"ZCA, g = {g}", (1, height), xytext=(0, 3), textcoords="offset points", color=COLOURS[index], fontsize=8
        )
    height = one(table, "snd", normalizer="batch_norm")
    axis.annotate("BatchNorm", (9, height), xytext=(0, -10), textcoords="offset points", ha="right", fontsize=8)
