"""Order and chaos over normalisers: growth of gradients and of the distance of close samples per layer."""

from typing import Any

from matplotlib.figure import Figure

from figures import Tables, pick
from ntkcheck.output import COLOURS

TABLES = ("normalizer_growth",)
CLAIMS = ("MN-2", "MN-4")
NAMES = {
    "none": "none",
    "layer_norm": "LayerNorm",
    "weight_mean": "weight mean",
    "batch_norm": "BatchNorm",
    "iter_norm": "IterNorm, T = 5",
    "zca": "ZCA",
    "cholesky": "Cholesky",
}
LABEL: dict[str, Any] = {"xytext": (7, 0), "textcoords": "offset points", "va": "center", "fontsize": 8}
QUANTITIES = {"chi_1": "close samples ($\\chi_1$)", "gradient growth": "gradient"}


def caption(tables: Tables) -> str:
    """Sizes, and what the error bars are."""
    row = tables["normalizer_growth"].query("n > 0").iloc[0]
    return (
        "ReLU at He's variance without bias, infinite width: growth per layer of the squared distance of two close samples over "
        f"their length (circles) and of the squared gradient (squares), on one batch of {row['batch_size']} Gaussian inputs, "
        f"{row['depth']} layers, the first and the last fifth left out; whitenings in groups of 16. None, LayerNorm, weight mean "
        f"and BatchNorm in closed form or by quadrature; the others sampled, {row['samples']} neurons a layer in {row['n']} "
        "independent propagations, error bars 2 standard errors. The two respects differ: weight mean separates close samples "
        "but keeps gradients, because lengths shrink by what the distance gains."
    )


def draw(tables: Tables) -> Figure:
    """One row a normaliser."""
    figure = Figure(figsize=(5.4, 3), layout="constrained")
    axis = figure.subplots()
    places = range(len(NAMES))
    for index, (quantity, label) in enumerate(QUANTITIES.items()):
        rows = pick(tables["normalizer_growth"], quantity=quantity).set_index("normalizer").loc[list(NAMES)]
        y = [place + 0.12 * (1 - 2 * index) for place in places]
        axis.errorbar(
            rows["value"],
            y,
            xerr=2 * rows["sem"],
            color=COLOURS[index],
            marker="os"[index],
            markersize=5,
            linestyle="none",
            capsize=2,
        )
        weight_mean = list(NAMES).index("weight_mean")
        axis.annotate(label, (rows["value"].iloc[weight_mean], y[weight_mean]), **LABEL, color=COLOURS[index])
    axis.axvline(1, color="0.7", linewidth=0.8, zorder=0)
    axis.set(yticks=list(places), yticklabels=list(NAMES.values()), xlabel="growth per layer", xscale="log")
    axis.set_xticks([1, 1.25, 1.5, 2, 2.5], ["1", "1.25", "1.5", "2", "2.5"])
    axis.minorticks_off()
    axis.invert_yaxis()
    return figure
