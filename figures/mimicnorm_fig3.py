"""Variance of the outputs before the last BatchNorm, and the loss, in training by learning rate."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures import Tables, column, pick, rows
from ntkcheck.drawing import end_label, line

TABLES = ("training_mn9",)
CLAIMS = ("MN-9",)
CASE = ["model", "learning_rate"]
LAST = "last_batch_norm"
TITLES = {"vgg11": "VGG-11", "resnet18": "ResNet-18"}
NONE = "none"  # drawn dotted
QUANTITIES = {"output_variance": "variance of the outputs", "training_loss": "loss of the batch"}
LOSSES = (0.03, 300)  # limits of the axis


def caption(tables: Tables) -> str:
    """Sizes, seeds, what the bands are, and which trainings diverged."""
    table = tables["training_mn9"]
    last = pick(table, normalizer=LAST, quantity="output_variance")
    overflown = last.loc[~np.isfinite(column(last, "value"))].groupby(CASE).size().index
    cases = " and ".join(f"{model} at {rate:g}" for model, rate in overflown) or "nowhere"
    return (
        "After MimicNorm's supplement, Fig. 3. Networks without normaliser but for one BatchNorm before the loss (solid), and "
        f"without any (dotted), trained on the bundled digits by SGD with momentum in batches of {last['batch'].iloc[0]} at a "
        f"constant learning rate, up to {last['seed'].nunique()} seeds each. Top: variance over the batch of the last "
        "BatchNorm's inputs, mean over logits, before every step. A line breaks where a seed's variance overflows float32 "
        f"({cases}), and ends where a loss is not finite. Bottom: loss of the batch before the step; grey: log 10, of guessing; "
        f"with the last BatchNorm, at the last step: {_last_losses(table)}. What does not diverge need not train. Lines: median "
        "of seeds; bands: the smallest and the largest, no standard errors. Diverged, of the seeds trained, without any "
        f"normaliser and with the last BatchNorm: {_divergence(table)}."
    )


def draw(tables: Tables) -> Figure:
    """One column a model, one colour a learning rate."""
    table = tables["training_mn9"]
    models, rates = sorted(table["model"].unique(), reverse=True), sorted(table["learning_rate"].unique())
    figure = Figure(figsize=(1 + 3.2 * len(models), 5.4), layout="constrained")
    axes = figure.subplots(2, len(models), sharex=True, sharey="row", squeeze=False)
    for row, (quantity, label) in zip(axes, QUANTITIES.items(), strict=True):
        for axis, model in zip(row, models, strict=True):
            for index, rate in enumerate(rates):
                _draw_rate(axis, table, index, rate, model=model, quantity=quantity)
            axis.set_yscale("log")
        row[0].set_ylabel(label)
    for top, bottom, model in zip(*axes, models, strict=True):
        top.set_title(TITLES.get(model, model))
        bottom.axhline(np.log(10), color="0.6", linewidth=1, zorder=0)
        bottom.set(xlabel="step", ylim=LOSSES)
    handles = dict(zip(*axes[0, 0].get_legend_handles_labels()[::-1], strict=True))
    figure.legend(
        [*handles.values(), Line2D([], [], color="0.3", linestyle=":")],
        [*(f"learning rate {rate}" for rate in handles), "without normaliser"],
        loc="outside lower center",
        ncols=3,
        frameon=False,
    )
    return figure


def _draw_rate(axis: Axes, table: pd.DataFrame, index: int, rate: float, **where: object) -> None:
    for normalizer in (LAST, NONE):
        found = rows(table, normalizer=normalizer, learning_rate=rate, **where)
        if found.empty:
            continue
        by_seed = found.pivot(index="at", columns="seed", values="value")
        steps, values = np.asarray(by_seed.index, float), np.asarray(by_seed)
        values = np.where(np.isfinite(values).all(1, keepdims=True), values, np.nan)
        median = np.median(values, axis=1)
        if normalizer == LAST:
            line(axis, steps, median, index, band=(values.min(1), values.max(1)), label=f"{rate:g}")
            if where["quantity"] == "output_variance":
                end = np.flatnonzero(np.isfinite(median))[-1]
                end_label(axis, float(steps[end]), float(median[end]), f"{rate:g}", index)
        else:
            line(axis, steps, median, index, linestyle=":")


def _last_losses(table: pd.DataFrame) -> str:
    losses = pick(table, normalizer=LAST, quantity="training_loss")
    medians = pick(losses, at=losses["at"].max()).groupby(CASE)["value"].median()
    return ", ".join(
        f"{value:.2f} ({model} at {rate:g})" for (model, rate), value in zip(medians.index, medians, strict=True)
    )


def _divergence(table: pd.DataFrame) -> str:
    diverged = pick(table, quantity="diverged").groupby([*CASE, "normalizer"])["value"].agg(["sum", "size"])
    found: dict[tuple[str, float], dict[str, str]] = {}
    for (model, rate, normalizer), (count, seeds) in zip(diverged.index, diverged.to_numpy(), strict=True):
        found.setdefault((model, rate), {})[normalizer] = f"{count:.0f} of {seeds:.0f}"
    return "; ".join(
        f"{model} at {rate:g}: {of.get(NONE, 'not run')} and {of.get(LAST, 'not run')}"
        for (model, rate), of in found.items()
    )
