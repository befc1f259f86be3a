"""Conditioning against SND: every normaliser, group size and number of Newton steps."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures import Tables, pick
from figures._disturbance import POPULATIONS, ROUNDING, log_axes, study, without_layer_norm
from ntkcheck.drawing import points
from ntkcheck.output import COLOURS, MARKERS

TABLES = ("trade_off",)
CLAIMS = ("IN-7", "LT-5")
COLUMNS = ("spectrum", "digits_layer", "patches")
QUANTITIES = {"snd": "SND", "snd_relative": "SND / rms of the output"}
FAMILIES = {
    "batch_norm": "BatchNorm",
    "zca": "ZCA",
    "pca": "PCA",
    "cholesky": "Cholesky",
    "iter_norm": "IterNorm",
    "scaled_batch_norm": "BatchNorm, scale 0.1",
}
LARGEST = 32  # group, whose Newton steps are labelled
MEMORIES = {
    "moving_batch_norm": "moving BatchNorm",
    "memorized_batch_norm": "memorized BatchNorm",
    "mabn": "MABN",
    "power_norm": "PowerNorm",
}


class Setting(NamedTuple):
    """A normaliser with its group size and Newton steps, in the plane of conditioning and SND."""

    normalizer: str
    group_size: float
    iterations: float
    condition: float
    condition_sem: float
    snd: float
    snd_sem: float


def caption(tables: Tables) -> str:
    """What is plotted, the rule of domination, counts."""
    table = study(tables, "trade_off")
    row = pick(table, quantity="snd").iloc[0]
    return (
        f"Condition number of the output's covariance against SND, m = {row['batch_size']}, d = {row['features']}, for "
        "BatchNorm and its relatives with memory, whitening by ZCA, PCA and Cholesky in groups of 8 and 32 (ZCA 16 too), and "
        "IterNorm in groups of 8 and 32 with T = 1 to 9 and of 16 with T = 3, 5, 7 (numbers: T on the front, one group of "
        f"{LARGEST}). Filled: not dominated; open: another setting is no worse in either and better in one by more than 2 standard "
        "errors of the difference. Grey line: the front. Above: SND as the paper defines it, which rewards small outputs: a "
        "BatchNorm with scale 0.1 has a tenth of BatchNorm's SND at the same conditioning. Below: over the root mean square of "
        f"the output. {without_layer_norm(table)} Means over {row['n']} samples, error bars 2 standard errors."
    )


def draw(tables: Tables) -> Figure:
    """Two rows, SND and relative SND; a column a population."""
    table = study(tables, "trade_off")
    figure = Figure(figsize=(9.4, 6.6), layout="constrained")
    axes = figure.subplots(2, len(COLUMNS), sharex="col")
    for place, population in enumerate(COLUMNS):
        for axis, quantity in zip(axes[:, place], QUANTITIES, strict=True):
            _panel(axis, settings(pick(table, population=population), quantity))
        axes[0, place].set_title(POPULATIONS[population], fontsize=9)
        axes[1, place].set_xlabel("condition number of the output")
    for axis, words in zip(axes[:, 0], QUANTITIES.values(), strict=True):
        axis.set_ylabel(words)
    _name_memories(axes[1, 0], settings(pick(table, population=COLUMNS[0]), "snd_relative"))
    figure.legend(handles=_legend(), loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    return figure


def settings(table: pd.DataFrame, quantity: str) -> list[Setting]:
    """Every setting with an SND above rounding and a finite condition number."""
    subject = ["normalizer", "group_size", "iterations"]
    condition, snd = (pick(table, quantity=name) for name in ("condition_number", quantity))
    both = condition.merge(snd, on=subject, suffixes=("_c", ""))
    found = [Setting(*row) for row in both[[*subject, "value_c", "sem_c", "value", "sem"]].itertuples(index=False)]
    return [each for each in found if each.snd > ROUNDING and math.isfinite(each.condition)]


def dominated(setting: Setting, others: Sequence[Setting]) -> bool:
    """Whether one of the others is no worse in either and better in one by more than two standard errors."""
    return any(_dominates(other, setting) for other in others)


def _dominates(one: Setting, other: Setting) -> bool:
    no_worse = one.condition <= other.condition * (1 + ROUNDING) and one.snd <= other.snd
    return no_worse and (
        other.condition - one.condition > 2 * math.hypot(one.condition_sem, other.condition_sem) + ROUNDING
        or other.snd - one.snd > 2 * math.hypot(one.snd_sem, other.snd_sem)
    )


def _panel(axis: Axes, found: list[Setting]) -> None:
    front = sorted(each for each in found if not dominated(each, found))
    places = sorted((each.condition, each.snd) for each in front)
    axis.plot(*zip(*places, strict=True), color="0.75", linewidth=4, alpha=0.6, zorder=0)
    for each in found:
        index = _index(each.normalizer)
        fill = COLOURS[index] if each in front else "white"
        error = {"xerr": 2 * each.condition_sem, "markersize": 4.5, "markerfacecolor": fill, "capsize": 0}
        points(axis, each.condition, each.snd, 2 * each.snd_sem, index, **error)
        if each.normalizer == "iter_norm" and each.group_size == LARGEST and each in front:
            where = {"xytext": (-8, -8), "textcoords": "offset points", "fontsize": 6.5, "color": COLOURS[index]}
            axis.annotate(f"{each.iterations:g}", (each.condition, each.snd), **where)
    log_axes(axis, x=(1,))


def _name_memories(axis: Axes, found: list[Setting]) -> None:
    where = {"xytext": (-6, 0), "textcoords": "offset points", "fontsize": 6.5, "ha": "right", "va": "center"}
    for each in found:
        if each.normalizer in MEMORIES:
            axis.annotate(MEMORIES[each.normalizer], (each.condition, each.snd), **where)


def _index(normalizer: str) -> int:
    """Of the colour and the marker; normalisers with memory share one."""
    return [*FAMILIES, "memory"].index("memory" if normalizer in MEMORIES else normalizer)


def _legend() -> list[Line2D]:
    names = [*FAMILIES.values(), "with memory"]
    return [
        Line2D([], [], color=COLOURS[i], marker=MARKERS[i], markerfacecolor="white", linestyle="none", label=name)
        for i, name in enumerate(names)
    ]
