"""SND at initialisation against the loss after training."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from figures import Tables, column, pick
from figures._disturbance import log_axes
from ntkcheck.drawing import points
from ntkcheck.output import COLOURS, MARKERS

TABLES = ("snd_and_loss",)
CLAIMS = ("IN-9",)
SETTING = ["normalizer", "batch_size", "group_size", "iterations"]
LOSSES = {"test_loss": ("test", 0), "training_loss": ("training", 6)}  # label and look
FEWEST = 8  # samples of a batch in the claim's comparison of all normalisers
FAMILIES = {  # normaliser, group size: its label
    ("batch_norm", 1): "BatchNorm",
    ("zca", 4): "ZCA, g = 4",
    ("zca", 16): "ZCA, g = 16",
    ("iter_norm", 4): "IterNorm, g = 4",
    ("iter_norm", 16): "IterNorm, g = 16",
}


def caption(tables: Tables) -> str:
    """Counts, error bars, rank correlations, settings that broke down."""
    table = tables["snd_and_loss"]
    row = table.iloc[0]
    every = table.query(f"batch_size >= {FEWEST}")
    broken = np.sum(~np.isfinite(column(_means(every), "test_loss")))
    left = f" Not shown: {broken} settings whose loss was not finite in some network." if broken else ""
    return (
        f"Networks of three hidden layers of 64 neurons trained on digits for {row['epochs']} epochs of as many samples in every "
        "setting, learning rate in proportion to the batch size m. SND of the pre-activations at initialisation, mean over layers, "
        f"against cross-entropy after training with the training samples' statistics; means of {row['n']} networks with 2 standard "
        "errors (where none is seen they are smaller than the point). Left: BatchNorm, m = 2 to 256 beside the points of the test "
        f"loss; rank correlation of SND and test loss {_correlation(pick(table, normalizer='batch_norm'), 'test_loss')}, training "
        f"loss {_correlation(pick(table, normalizer='batch_norm'), 'training_loss')}, mean over networks with standard error. "
        f"Right: test loss of all normalisers, m = {FEWEST} to 256, IterNorm with T = 3, 5 and 7; rank correlation "
        f"{_correlation(every, 'test_loss')}.{left}"
    )


def draw(tables: Tables) -> Figure:
    """BatchNorm by batch size, and all normalisers."""
    table = tables["snd_and_loss"]
    figure = Figure(figsize=(8.8, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    _batch_norm(left, _means(pick(table, normalizer="batch_norm")))
    handles = _everything(right, _means(table.query(f"batch_size >= {FEWEST}")))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
    for axis, loss in ((left, "loss"), (right, "test loss")):
        axis.set(xlabel="SND at initialisation", ylabel=f"{loss} after training")
    return figure


def _means(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over networks of every quantity by setting, and its standard error under the name of the quantity and "error"."""
    by_quantity = table.groupby([*SETTING, "quantity"])["value"]
    mean, error = (by_quantity.agg(lambda of, f=f: f(np.asarray(of))).unstack() for f in (np.mean, stats.sem))
    return mean.join(error.add_suffix(" error")).reset_index()


def _correlation(table: pd.DataFrame, loss: str) -> str:
    """Spearman's over settings, what is not finite as the largest: mean over networks and standard error."""
    pairs = [pick(table, quantity=name).pivot(index=SETTING, columns="at", values="value") for name in ("snd", loss)]
    disturbances, losses = (np.where(np.isfinite(pair), pair, np.inf).T for pair in pairs)
    found = np.array([stats.spearmanr(*pair)[0] for pair in zip(disturbances, losses, strict=True)])
    return f"{found.mean():.2f} ± {found.std(ddof=1) / len(found) ** 0.5:.2f}"


def _batch_norm(axis: Axes, means: pd.DataFrame) -> None:
    for loss, (label, index) in LOSSES.items():
        _points(axis, means, loss, index)
        at = pick(means, batch_size=64).iloc[0]
        where = {"xytext": (0, -16 if index == 0 else 8), "textcoords": "offset points", "ha": "center"}
        axis.annotate(label, (at["snd"], at[loss]), color=COLOURS[index], **where)
    for m, x, y in zip(*(column(means, name) for name in ("batch_size", "snd", "test_loss")), strict=True):
        axis.annotate(str(m), (x, y), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=7)
    log_axes(axis)


def _everything(axis: Axes, means: pd.DataFrame) -> list[Line2D]:
    """The points of all normalisers; what the legend holds."""
    handles = []
    for index, ((normalizer, g), label) in enumerate(FAMILIES.items()):
        _points(axis, pick(means, normalizer=normalizer, group_size=g), "test_loss", index)
        handles.append(
            Line2D([], [], color=COLOURS[index], marker=MARKERS[index], mfc="white", linestyle="none", label=label)
        )
    log_axes(axis, y=(1, 1.5, 2, 2.5, 3, 4, 5, 7))
    return handles


def _points(axis: Axes, means: pd.DataFrame, loss: str, index: int) -> None:
    errors = {"xerr": 2 * means["snd error"]}
    points(axis, means["snd"], means[loss], 2 * means[f"{loss} error"], index, **errors)
