"""The regime's figure: correlation, NTK and gradient through depth, theory as lines, measurements as points."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ntkcheck.measurement import INFINITE
from ntkcheck.output import COLOURS, MARKERS, STYLE
from ntkcheck.regime.finite import NTK_NETWORKS
from ntkcheck.regime.run import Curve
from ntkcheck.regime.settings import Settings

PANELS = {
    "correlation_through_depth": ("mean correlation of input pairs", "Correlation"),
    "ntk_off_diagonal_through_depth": ("mean off-diagonal / mean diagonal", "Neural tangent kernel"),
    "gradient_through_depth": ("squared gradient, growth per layer", "Backward gradient"),
}


def draw(curves: Iterable[Curve], settings: Settings) -> Figure:
    """One panel a quantity, one colour and marker a normaliser; error bars are standard errors over networks.

    Args:
        curves: Of a run.
        settings: Of the same run, for the caption.
    """
    curves = list(curves)
    names = list(dict.fromkeys(curve.subject for curve in curves))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 4.2), layout="constrained")
        axes = figure.subplots(1, len(PANELS))
        for axis, (quantity, (label, title)) in zip(axes, PANELS.items(), strict=True):
            for curve in (curve for curve in curves if curve.quantity == quantity):
                _draw_curve(axis, curve, names.index(curve.subject))
            axis.set(xlabel="depth (hidden layers)", ylabel=label, title=title)
            axis.axhline(1 if quantity == "gradient_through_depth" else 0, color="0.8", linewidth=0.8, zorder=0)
        handles, labels = _legend(axes[0])
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(names), 5), frameon=False)
        figure.suptitle(
            f"{settings.activation}, width {settings.width}, batches of {settings.batch_size} from {Path(settings.data).name}; "
            f"lines: infinite width; points: mean over {settings.seeds} networks (NTK: {min(NTK_NETWORKS, settings.seeds)}) "
            "± standard error",
            fontsize=9,
        )
    return figure


def _draw_curve(axis: Axes, curve: Curve, index: int) -> None:
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]
    value, sem, _, depth = curve.series
    if curve.width == INFINITE:
        axis.plot(depth, value, color=colour, linewidth=1.4, label=curve.subject)
        if sem.any():
            axis.fill_between(depth, value - sem, value + sem, color=colour, alpha=0.2, linewidth=0)
        return
    shown = _spread_out(len(depth), index)
    axis.errorbar(
        depth[shown],
        value[shown],
        sem[shown],
        color=colour,
        marker=marker,
        markersize=4,
        markerfacecolor="white",
        linestyle="none",
        capsize=2,
        label=curve.subject,
    )


def _spread_out(layers: int, index: int) -> np.ndarray:
    """About ten layers, shifted from normaliser to normaliser so that points do not hide each other; always the last."""
    step = max(1, layers // 10)
    return np.unique(np.append(np.arange(index % step, layers, step), layers - 1))


def _legend(axis: Axes) -> tuple[list[Any], list[str]]:
    """One entry a normaliser: its line and its marker together."""
    handles, labels = axis.get_legend_handles_labels()
    pairs: dict[str, list] = {}
    for handle, label in zip(handles, labels, strict=True):
        pairs.setdefault(label, []).append(handle)
    return [tuple(handles) for handles in pairs.values()], list(pairs)
