"""The figures: SND against m with the law, against conditioning as a Pareto front, and by Newton steps; one column a population."""

import math
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ntkcheck.disturbance.document import own_condition_number
from ntkcheck.disturbance.normalizer import name_of
from ntkcheck.disturbance.run import Result
from ntkcheck.disturbance.settings import Line
from ntkcheck.disturbance.table import ZERO
from ntkcheck.output import COLOURS, MARKERS, STYLE
from ntkcheck.stats import Estimate

PANEL = 3.4  # inches of width of a panel
ROWS = ("SND against batch size", "SND against conditioning", "SND by Newton steps")


class Look(NamedTuple):
    """Colour of the normaliser, marker of the group size."""

    color: str
    marker: str


def draw(result: Result, features: int) -> Figure:
    """All populations of one number of features, measured points with error bars (one standard error), laws as lines.

    Args:
        result: What is known of a run.
        features: d.
    """
    populations = [spec for spec, d in result.experiment.populations if d == features]
    lines = [line for line in result.lines if line.features == features and line.population in populations]
    looks = _looks(result, lines)
    settings = result.experiment.settings
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width := max(2 + PANEL * len(populations), 8), 10.5), layout="constrained")
        axes = figure.subplots(len(ROWS), len(populations), squeeze=False)
        for column, spec in enumerate(populations):
            of_population = [line for line in lines if line.population == spec]
            condition = own_condition_number(result.experiment.populations[spec, features])
            axes[0, column].set_title(f"{spec}, condition {condition:.3g}")
            _over_batch_sizes(axes[0, column], result, of_population, looks)
            _front(axes[1, column], result, of_population, looks, settings.middle_batch_size)
            _by_iterations(axes[2, column], result, of_population, looks, settings.middle_batch_size)
        for row, title in enumerate(ROWS):
            axes[row, 0].set_ylabel(f"{title}\n\nSND")
        columns = int(width / 2.4)
        figure.legend(handles=_legend(looks, lines), loc="outside lower center", ncols=columns, frameon=False)
        caption = (
            f"Stochastic normalisation disturbance, d = {features}. Points: measured ± standard error, {settings.draws} draws an "
            f"anchor, {settings.design} design. Lines: law, exact for batch_norm on gaussian, else first order; dotted where there "
            f"is none. Rows 2 and 3: m = {settings.middle_batch_size}."
        )
        figure.suptitle(textwrap.fill(caption, int(width * 14)), fontsize=9)
    return figure


def _looks(result: Result, lines: Sequence[Line]) -> dict[tuple[str, int | None], Look]:
    """By normaliser and group size."""
    names = [name_of(choice) for choice in result.experiment.settings.normalizers]
    sizes = sorted({line.group_size for line in lines if line.group_size})
    return {
        (line.normalizer, line.group_size): Look(
            COLOURS[names.index(line.normalizer) % len(COLOURS)],
            MARKERS[(sizes.index(line.group_size) + 1 if line.group_size else 0) % len(MARKERS)],
        )
        for line in lines
    }


def _over_batch_sizes(axis: Axes, result: Result, lines: Sequence[Line], looks: dict) -> None:
    steps = result.experiment.settings.iterations[0]
    for line in lines:
        look = looks[line.normalizer, line.group_size]
        measured = _positive(result.over_batch_sizes(line, "snd"))
        if line.iterations not in (None, steps) or not measured:
            continue
        law = _positive(result.over_batch_sizes(line, "law"))
        shown = law or measured
        values = [estimate.value for estimate in shown.values()]
        axis.plot(list(shown), values, color=look.color, linewidth=1.2, linestyle="-" if law else ":")
        _points(axis, list(measured), list(measured.values()), look)
    if not axis.lines:
        _leave_empty(axis, "nothing to show")
        return
    sizes = sorted(result.experiment.settings.batch_sizes)
    axis.set(xscale="log", yscale="log", xlabel="batch size m")
    axis.set_xticks(sizes, [str(m) for m in sizes])
    axis.minorticks_off()
    _plain_ticks(axis.yaxis)


def _front(axis: Axes, result: Result, lines: Sequence[Line], looks: dict, m: int) -> None:
    """SND filled, SND over the output's rms open where it differs; settings that no other one beats in both are joined."""
    found = {
        line: [result.find(line, m, name) for name in ("condition_number", "snd", "snd_relative")] for line in lines
    }
    silent: list[str] = []
    marked: dict[Line, tuple[float, float]] = {}
    for line, (condition, snd, relative) in found.items():
        if not condition or not snd or not relative:
            continue
        if snd.value < ZERO:
            silent.append(f"{line.normalizer}: SND 0, condition {condition.value:.3g}")
        elif math.isfinite(condition.value) and math.isfinite(snd.value):
            marked[line] = float(f"{condition.value:.6g}"), snd.value  # 1 + rounding is 1
            _mark(axis, marked[line][0], snd, relative, looks[line.normalizer, line.group_size])
    axis.text(0.98, 0.98, "\n".join(silent), transform=axis.transAxes, ha="right", va="top", fontsize=7, color="0.3")
    if not marked:
        _leave_empty(axis, "nothing to show")
        return
    best = pareto_front(list(marked.values()))
    axis.plot([c for c, _ in best], [s for _, s in best], color="0.7", linewidth=5, alpha=0.5, zorder=0)
    axis.set(xscale="log", yscale="log", xlabel=f"condition number of the output, m = {m}")
    axis.set_xlim(0.85, max([4.0, *(1.4 * c for c, _ in marked.values())]))
    _plain_ticks(axis.xaxis, (1, 2, 5) if axis.get_xlim()[1] < 200 else (1,))
    _plain_ticks(axis.yaxis)
    _label_steps(axis, marked, looks)


def _mark(axis: Axes, condition: float, snd: Estimate, relative: Estimate, look: Look) -> None:
    if abs(relative.value / snd.value - 1) > 0.01:
        axis.plot([condition] * 2, [snd.value, relative.value], color=look.color, linewidth=0.7)
        _points(axis, [condition], [relative], look, size=5, is_open=True)
    _points(axis, [condition], [snd], look, size=6)


def _label_steps(axis: Axes, marked: dict[Line, tuple[float, float]], looks: dict) -> None:
    """T beside IterNorm's points, the largest group first; not where that would hide another T."""
    taken: list[np.ndarray] = []
    for line in sorted(marked, key=lambda line: (-(line.group_size or 0), line.iterations or 0)):
        place = axis.transAxes.inverted().transform(axis.transData.transform(marked[line]))
        if line.iterations and all((np.abs(place - other) > (0.12, 0.06)).any() for other in taken):
            taken.append(place)
            color = looks[line.normalizer, line.group_size].color
            offset = {"xytext": (5, -8), "textcoords": "offset points"}
            axis.annotate(f"T={line.iterations}", marked[line], **offset, fontsize=7, color=color)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other one is at most equal to in both coordinates, by the first."""
    front: list[tuple[float, float]] = []
    for point in sorted(set(points)):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    return front


def _by_iterations(axis: Axes, result: Result, lines: Sequence[Line], looks: dict, m: int) -> None:
    """IterNorm's SND with its law, and its relative SND open and dashed."""
    series: dict[tuple[str, int | None], dict[int, Line]] = {}
    for line in lines:
        if line.iterations:
            series.setdefault((line.normalizer, line.group_size), {})[line.iterations] = line
    if not series:
        _leave_empty(axis, "no normaliser\nwith Newton steps")
        return
    for key, by_steps in series.items():
        law, snd, relative = (
            {steps: e for steps, line in by_steps.items() if (e := result.find(line, m, quantity)) and e.value > ZERO}
            for quantity in ("law", "snd", "snd_relative")
        )
        axis.plot(list(law), [e.value for e in law.values()], color=looks[key].color, linewidth=1.2)
        _points(axis, list(relative), list(relative.values()), looks[key], style="--", is_open=True)
        _points(axis, list(snd), list(snd.values()), looks[key])
    axis.set(
        xlabel=f"Newton steps T, m = {m}", xticks=sorted({steps for by_steps in series.values() for steps in by_steps})
    )
    axis.set_ylim(bottom=0)


def _points(
    axis: Axes,
    x: list,
    estimates: list[Estimate],
    look: Look,
    size: float = 4.5,
    style: str = "none",
    is_open: bool = False,
) -> None:
    axis.errorbar(
        x,
        [estimate.value for estimate in estimates],
        [estimate.sem for estimate in estimates],
        color=look.color,
        marker=look.marker,
        markersize=size,
        markerfacecolor="white" if is_open else look.color,
        linestyle=style,
        linewidth=0.8,
        capsize=2,
    )


def _positive(found: dict[int, Estimate]) -> dict[int, Estimate]:
    return {m: e for m, e in found.items() if math.isfinite(e.value) and e.value > ZERO}


def _leave_empty(axis: Axes, words: str) -> None:
    axis.text(0.5, 0.5, words, transform=axis.transAxes, ha="center", color="0.5")
    axis.set(xticks=[], yticks=[])


def _plain_ticks(axis: Axis, of_decade: Sequence[int] = (1, 2, 5)) -> None:
    """Numbers such as 0.5, not powers of ten."""
    axis.set_major_locator(LogLocator(subs=of_decade))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _legend(looks: dict[tuple[str, int | None], Look], lines: Sequence[Line]) -> list[Line2D]:
    """A line and marker for every normaliser and group size, and what filled and open markers are."""
    groups = {(line.normalizer, line.group_size): line.groups for line in lines}
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, linewidth=1.2, label=_words(name, g, groups[name, g]))
        for (name, g), look in looks.items()
    ]
    relative = Line2D(
        [], [], color="0.4", marker="o", markerfacecolor="white", linestyle="--", label="SND / rms of the output"
    )
    front = Line2D([], [], color="0.7", linewidth=5, alpha=0.5, label="not dominated")
    return [*handles, relative, front]


def _words(name: str, g: int | None, groups: int | None) -> str:
    return f"{name}, g = {g} ({groups} group{'s' * (groups != 1)})" if g else name
