"""SND against the batch size."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Tables, column, pick
from figures._disturbance import POPULATIONS, law, log_axes, sizes, spread, study, without_layer_norm
from ntkcheck.drawing import end_label, line, points

TABLES = ("snd_batch_size",)
CLAIMS = ("IN-3", "IN-4", "IN-5")
COLUMNS = ("gaussian", "digits_layer", "patches")
SETTINGS = {  # normaliser, group size: its label
    ("batch_norm", 0): "BatchNorm",
    ("zca", 8): "ZCA, g = 8",
    ("zca", 32): "ZCA, g = 32",
    ("iter_norm", 32): "IterNorm, T = 5",
}


def caption(tables: Tables) -> str:
    """Populations, counts, error bars, laws, and what is zero."""
    table = study(tables, "snd_batch_size")
    row = pick(table, quantity="snd").iloc[0]
    return (
        f"Stochastic normalisation disturbance of d = {row['features']} features against the batch size m. Points: measured, all "
        f"{row['n']} samples of a population as anchors, {row['draws']} draws an anchor on average, batches drawn with "
        "replacement; error bars, 4 standard errors, are smaller than the points where none is seen. Lines: the law, exact for "
        "BatchNorm on N(0, I), else first order in 1 / sqrt(m), for m much larger than the group g: slope -1/2. IterNorm, in one "
        f"group of 32, still works below m = g, where ZCA has no value and first order does not hold. {without_layer_norm(table)} "
        "Digits: pre-activations of the second layer of a random ReLU network on handwritten digits."
    )


def draw(tables: Tables) -> Figure:
    """A panel a population: points, laws, labels at the right."""
    table = study(tables, "snd_batch_size")
    figure = Figure(figsize=(9.4, 3.5), layout="constrained")
    for axis, population in zip(figure.subplots(1, len(COLUMNS), sharey=True), COLUMNS, strict=True):
        _panel(axis, pick(table, population=population))
        axis.set_title(POPULATIONS[population], fontsize=9)
    figure.axes[0].set_ylabel("SND")
    return figure


def _panel(axis: Axes, table: pd.DataFrame) -> None:
    ends: dict[str, float] = {}
    for index, ((normalizer, g), label) in enumerate(SETTINGS.items()):
        where = {"normalizer": normalizer, "group_size": g}
        snd, of_law = pick(table, quantity="snd", **where), law(table, **where)
        line(axis, of_law["batch_size"], of_law["value"], index)
        points(axis, snd["batch_size"], snd["value"], 4 * snd["sem"], index)
        ends[label] = column(snd, "value")[-1]
    heights = spread(ends)
    for index, label in enumerate(ends):
        end_label(axis, column(table, "batch_size").max(), heights[label], label, index)
    log_axes(axis)
    sizes(axis, (4, 16, 64, 256, 1024))
    axis.set(xlabel="batch size m", xlim=(3.4, 1400))
