"""What centring the weights leaves of a layer's second moment: Lemma 1's two factors against simulation.

MimicNorm's Lemma 1 prints (n_o - 1) / n_o; the derivation in its supplement gives (n_i - 1) / n_i.
"""

import numpy as np
from matplotlib.figure import Figure

from figures import Tables
from ntkcheck.drawing import line, points
from ntkcheck.output import COLOURS

TABLES = ("lemma_1",)
CLAIMS = ("MN-3",)
FAN_OUT = 64


def caption(tables: Tables) -> str:
    """Sizes, counts and the error bars."""
    table = tables["lemma_1"]
    return (
        f"E_W[Phibar(rho)] / (Phi(rho) - Phi(0)) of one ReLU layer with centred weights, rho = {table['rho'][0]:g}, fan-out "
        f"n_o = {FAN_OUT}, against its fan-in n_i. Points: simulation, mean of {table['n'].min()} independent layers and input "
        "pairs, error bars 4 standard errors (where none is seen it is smaller than the point). Lines: the factor that the "
        "supplement's derivation gives, and the one that is printed."
    )


def draw(tables: Tables) -> Figure:
    """Simulated factors against the fan-in, between the two formulas."""
    table = tables["lemma_1"].query(f"fan_out == {FAN_OUT}")
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axis = figure.subplots()
    fan_in = np.geomspace(table["fan_in"].min(), table["fan_in"].max(), 100)
    line(axis, fan_in, 1 - 1 / fan_in, 2)
    line(axis, fan_in[[0, -1]], [1 - 1 / FAN_OUT] * 2, 1, linestyle="--")
    points(axis, table["fan_in"], table["value"], 4 * table["sem"], 0)
    axis.text(10, 0.86, "derived: $(n_i - 1)/n_i$", color=COLOURS[2])
    axis.text(4, 1 - 1 / FAN_OUT + 0.01, "printed: $(n_o - 1)/n_o$", color=COLOURS[1])
    axis.set(xscale="log", xlabel="fan-in $n_i$", ylabel="remaining second moment", ylim=(0.7, 1.03))
    axis.set_xticks(table["fan_in"], [str(n) for n in table["fan_in"]], minor=False)
    axis.minorticks_off()
    return figure
