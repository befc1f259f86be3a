"""Variance of the outputs before the last BatchNorm in training, by learning rate.

MimicNorm, supplement, Fig. 3. The table is that of trainings by `ntkcheck.training.outcome.measure`, in long form; of its columns
model, normalizer, learning_rate, seed, batch, quantity, at and value are read, of its quantities output_variance and diverged.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Tables, pick
from ntkcheck.drawing import end_label, line

TABLES = ("training_mn9",)
CLAIMS = ("MN-9",)
LAST = "last_batch_norm"


def caption(tables: Tables) -> str:
    """Sizes, seeds, what the band is, and which trainings diverged without the last BatchNorm."""
    table = tables["training_mn9"]
    last = pick(table, normalizer=LAST, quantity="output_variance")
    return (
        f"Networks without normaliser but for one BatchNorm before the loss, trained by SGD with momentum in batches of "
        f"{last['batch'].iloc[0]}: variance over the batch of its inputs, mean over logits, before every step. Lines: median of "
        f"{last['seed'].nunique()} seeds; bands: the smallest and the largest. Share of seeds that diverge, without any normaliser "
        f"and with the last BatchNorm: {_divergence(table)}."
    )


def draw(tables: Tables) -> Figure:
    """One panel a model, one line a learning rate."""
    table = pick(tables["training_mn9"], normalizer=LAST, quantity="output_variance")
    models = list(table["model"].unique())
    figure = Figure(figsize=(1 + 3.2 * len(models), 3.2), layout="constrained")
    axes = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    for axis, model in zip(axes, models, strict=True):
        _draw_panel(axis, pick(table, model=model))
        axis.set(xlabel="step", title=model, yscale="log")
    axes[0].set_ylabel("variance of the outputs")
    return figure


def _draw_panel(axis: Axes, table: pd.DataFrame) -> None:
    for index, rate in enumerate(sorted(table["learning_rate"].unique())):
        by_seed = pick(table, learning_rate=rate).pivot(index="at", columns="seed", values="value")
        values, steps = by_seed.to_numpy(), np.asarray(by_seed.index, float)
        finite = np.isfinite(values).all(1)
        values, steps = values[finite], steps[finite]
        median = np.median(values, axis=1)
        line(axis, steps, median, index, band=(values.min(1), values.max(1)))
        end_label(axis, steps[-1], median[-1], f"{rate:g}", index)


def _divergence(table: pd.DataFrame) -> str:
    diverged = pick(table, quantity="diverged")
    cases = diverged[["model", "learning_rate"]].drop_duplicates().itertuples(index=False)
    found = [(model, rate, pick(diverged, model=model, learning_rate=rate)) for model, rate in cases]
    return "; ".join(f"{model} at {rate:g}: {_share(of, 'none')} and {_share(of, LAST)}" for model, rate, of in found)


def _share(table: pd.DataFrame, normalizer: str) -> str:
    rows = table[table["normalizer"] == normalizer]
    return f"{rows['value'].mean():.0%}" if len(rows) else "not run"
