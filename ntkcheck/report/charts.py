"""What can be explored, as Vega-Lite charts: regime of normalisers, curves through depth, phase diagram, SND."""

import itertools
from typing import Any, NamedTuple

import altair as alt

from ntkcheck.measurement import FINITE, INFINITE
from ntkcheck.normalizers import NAMES
from ntkcheck.regime.figure import COLOURS
from ntkcheck.regime.settings import DEFAULT_NORMALIZERS
from ntkcheck.report.full_size import QUANTITIES
from ntkcheck.report.tables import OF_SND, Row, Tables

WIDTH, HEIGHT = 620, 380
ROUNDING = 1e-9  # SND below it is that of a normaliser that sees no other sample
EVERY = "all"
CURVES = {
    "correlation_through_depth": "correlation of pairs",
    "gradient_through_depth": "growth of the squared gradient",
    "ntk_off_diagonal_through_depth": "NTK, off-diagonal over diagonal",
}
GROWTHS = {"correlation_slope": "distance of close inputs", "gradient_growth": "squared gradient"}


class Chart(NamedTuple):
    """A chart of the page.

    Attributes:
        id: Of its element.
        title: Heading.
        about: What it shows; also its text alternative.
        spec: Vega-Lite, as a dictionary.
        rows: What it draws, for the table behind it.
    """

    id: str
    title: str
    about: str
    spec: dict[str, Any]
    rows: list[Row]


def charts(tables: Tables) -> list[Chart]:
    """The charts for which the store has measurements."""
    found = []
    if tables.regime:
        found.append(_chart("regime", "Regime of each normaliser", REGIME, _regime(tables.regime), tables.regime))
    if tables.curves:
        found.append(_chart("depth", "Through depth", DEPTH, _depth(tables.curves), tables.curves))
    if len({(row["sigma_w"], row["sigma_b"]) for row in tables.regime}) > 1:
        found.append(_chart("phase", "Phase diagram", PHASE, _phase(tables.regime), tables.regime))
    if tables.snd:
        found.append(_chart("snd", "Stochastic normalization disturbance", DISTURBANCE, _snd(tables.snd), tables.snd))
    if tables.full_size:
        rows = list(tables.full_size)
        found.append(_chart("full-size", "Full-size models at initialisation", FULL_SIZE, _full_size(rows), rows))
    return found


REGIME = (
    "Growth per layer of the distance of close inputs (across) and of the squared gradient (up), at infinite width (hollow "
    "squares) and in random networks of finite width (filled circles, with one standard error). Above 1 is chaotic, below 1 "
    "ordered, each in its own respect."
)
DEPTH = "A quantity by layer: lines are infinite width, points means over random networks of finite width with one standard error."
PHASE = "Growth per layer by the scales of weights and biases, for one normaliser: red grows (chaotic), blue shrinks (ordered)."
DISTURBANCE = (
    "SND by what was varied, on logarithmic axes: filled circles are measurements with one standard error, hollow squares the "
    "law, exact where there is one and else to first order. What is 0 but for rounding is not drawn."
)

FULL_SIZE = (
    "A quantity at every normaliser's place of a full-size model, input to output (NTK eigenvalues: by rank), on an axis that is "
    "logarithmic but around 0: means over random networks with one standard error. Shipped measurements are among them."
)


def _chart(id: str, title: str, about: str, chart: Any, rows: list[Row]) -> Chart:
    spec = chart.properties(description=about).configure(background="transparent").to_dict()
    return Chart(id, title, about, spec, rows)


def _regime(rows: list[Row]) -> Any:
    run, chosen = _choice("run", rows, "run", every=True)
    x, y = (_growth(f"{name}:Q", f"{words}, growth per layer") for name, words in GROWTHS.items())
    marks = {"color": _colour(rows), "tooltip": _tooltip(rows)}
    data = alt.Chart(alt.InlineData(rows)).transform_filter(chosen)
    ends = {name: (f"datum.{name} - datum.{name}_sem", f"datum.{name} + datum.{name}_sem") for name in GROWTHS}
    bars = data
    for name, (low, high) in ends.items():
        bars = bars.transform_calculate(**{f"{name}_low": low, f"{name}_high": high})
    (across, up) = GROWTHS
    finite = bars.transform_filter(alt.datum.width == FINITE)
    line = alt.Chart(alt.InlineData([{"one": 1}])).mark_rule(color="#767676", strokeDash=[4, 3])
    return alt.layer(
        line.encode(x="one:Q"),
        line.encode(y="one:Q"),
        finite.mark_rule().encode(x=alt.X(f"{across}_low:Q", title=""), x2=f"{across}_high:Q", y=y, color=marks["color"]),
        finite.mark_rule().encode(x=x, y=alt.Y(f"{up}_low:Q", title=""), y2=f"{up}_high:Q", color=marks["color"]),
        finite.mark_circle(size=70, opacity=1).encode(x=x, y=y, **marks),
        data.transform_filter(alt.datum.width == INFINITE)
        .mark_point(shape="square", size=130, strokeWidth=1.6)
        .encode(x=x, y=y, **marks),
    ).add_params(run).properties(width=WIDTH, height=HEIGHT)  # fmt: skip


def _depth(rows: list[Row]) -> Any:
    run, of_run = _choice("run", rows, "run")
    quantity, of_quantity = _choice("quantity", rows, "quantity", labels=CURVES)
    name, of_name = _choice("normaliser", rows, "normalizer", every=True)
    data = (
        alt.Chart(alt.InlineData(rows)).transform_filter(of_run).transform_filter(of_quantity).transform_filter(of_name)
    )
    x = alt.X("depth:Q", title="layer")
    y = alt.Y("value:Q", title="value", scale=alt.Scale(zero=False))
    colour = _colour(rows)
    tooltip = ["normalizer:N", "width:N", "depth:Q", "value:Q", "low:Q", "high:Q", "run:N"]
    finite = data.transform_filter(alt.datum.width == FINITE)
    return alt.layer(
        data.transform_filter(alt.datum.width == INFINITE).mark_line(strokeWidth=2).encode(x=x, y=y, color=colour, tooltip=tooltip),
        finite.mark_rule().encode(x=x, y=alt.Y("low:Q", title=""), y2="high:Q", color=colour),
        finite.mark_circle(size=28, opacity=1).encode(x=x, y=y, color=colour, tooltip=tooltip),
    ).add_params(run, quantity, name).properties(width=WIDTH, height=HEIGHT)  # fmt: skip


def _phase(rows: list[Row]) -> Any:
    name, of_name = _choice("normaliser", rows, "normalizer")
    width, of_width = _choice("width", rows, "width")
    growth, _ = _choice("growth of", [{"growth of": name} for name in GROWTHS], "growth of", labels=GROWTHS)
    colour = alt.Color(
        "growth:Q",
        title="growth per layer",
        scale=alt.Scale(scheme="redblue", reverse=True, domainMid=1, type="linear"),
    )
    return (
        alt.Chart(alt.InlineData(rows))
        .transform_filter(of_name)
        .transform_filter(of_width)
        .transform_calculate(growth=f"datum[{growth.name}]")
        .mark_circle(size=260, opacity=1, stroke="#444444", strokeWidth=0.8)
        .encode(
            x=alt.X("sigma_w:Q", scale=alt.Scale(zero=False, padding=16)),
            y=alt.Y("sigma_b:Q", scale=alt.Scale(zero=False, padding=16)),
            color=colour,
            tooltip=["growth:Q", *_tooltip(rows)],
        )
        .add_params(name, width, growth)
        .properties(width=WIDTH, height=HEIGHT)
    )


def _snd(rows: list[Row]) -> Any:
    varied = [name for name in OF_SND if len({row.get(name) for row in rows} - {None}) > 1] or ["batch_size"]
    by, _ = _choice("against", [{"against": name} for name in varied], "against")
    population, of_population = _choice("population", rows, "population")
    name, of_name = _choice("normaliser", rows, "normalizer", every=True)
    data = (
        alt.Chart(alt.InlineData(rows))
        .transform_filter(of_population)
        .transform_filter(of_name)
        .transform_calculate(x=f"datum[{by.name}]")
        .transform_filter(f"isValid(datum.x) && datum.x > 0 && datum.low > {ROUNDING}")
    )
    x = alt.X("x:Q", title="what was varied", scale=alt.Scale(type="log", nice=False, padding=20))
    y = alt.Y("snd:Q", title="SND", scale=alt.Scale(type="log"))
    colour = _colour(rows)
    return (
        alt.layer(
            data.mark_rule().encode(x=x, y=alt.Y("low:Q", title=""), y2="high:Q", color=colour),
            data.mark_circle(size=60, opacity=1).encode(x=x, y=y, color=colour, tooltip=_tooltip(rows)),
            data.transform_filter("isValid(datum.law) && datum.law > 0")
            .mark_point(shape="square", size=110)
            .encode(x=x, y=alt.Y("law:Q", title=""), color=colour, tooltip=_tooltip(rows)),
        )
        .add_params(by, population, name)
        .properties(width=WIDTH, height=HEIGHT)
    )


def _full_size(rows: list[Row]) -> Any:
    model, of_model = _choice("model", rows, "model")
    quantity, of_quantity = _choice("quantity", rows, "quantity", labels=QUANTITIES)
    name, of_name = _choice("normaliser", rows, "normalizer", every=True)
    data = (
        alt.Chart(alt.InlineData(rows))
        .transform_filter(of_model)
        .transform_filter(of_quantity)
        .transform_filter(of_name)
    )
    x = alt.X("place:Q", title="place, or rank")
    y = alt.Y("value:Q", title="value", scale=alt.Scale(type="symlog", constant=0.1))
    colour = _colour(rows)
    return (
        alt.layer(
            data.mark_rule().encode(x=x, y=alt.Y("low:Q", title=""), y2="high:Q", color=colour),
            data.mark_circle(size=40, opacity=1).encode(x=x, y=y, color=colour, tooltip=_tooltip(rows)),
        )
        .add_params(model, quantity, name)
        .properties(width=WIDTH, height=HEIGHT)
    )


def _choice(
    label: str, rows: list[Row], field: str, labels: dict[str, str] | None = None, every: bool = False
) -> tuple[Any, str]:
    """A drop-down list of a column's values, and the condition that a row is what was chosen.

    Args:
        label: In words, before the list.
        rows: With the column.
        field: The column.
        labels: What values are called, in the order of the list; those of `rows` as they are by default.
        every: Whether "all" is among them, and first.
    """
    values = list(dict.fromkeys(row[field] for row in rows))
    if labels:
        values = [value for value in labels if value in values]
    options = [EVERY, *values] if every else values
    words = [(labels or {}).get(value, value) for value in options]
    name = f"chosen_{field.replace(' ', '_')}"
    binding = alt.binding_select(options=options, labels=words, name=f"{label} ")
    condition = f"{name} === '{EVERY}' || datum['{field}'] === {name}"
    return alt.param(name=name, value=options[0], bind=binding), condition


def _colour(rows: list[Row]) -> Any:
    """The same colour for a normaliser in every chart and every store, that of the regime's figure; free ones for others."""
    there = {row["normalizer"] for row in rows}
    fixed = dict(zip(dict.fromkeys([*DEFAULT_NORMALIZERS, *NAMES]), COLOURS, strict=False))
    taken = {colour for name, colour in fixed.items() if name in there}
    free = itertools.cycle([colour for colour in COLOURS if colour not in taken] or COLOURS)
    names = [*(name for name in fixed if name in there), *sorted(there - fixed.keys())]
    colours = [fixed.get(name) or next(free) for name in names]
    return alt.Color("normalizer:N", title="normaliser", scale=alt.Scale(domain=names, range=colours))


def _growth(field: str, title: str) -> dict[str, Any]:
    return {"field": field.partition(":")[0], "type": "quantitative", "title": title, "scale": {"zero": False}}


def _tooltip(rows: list[Row]) -> list[str]:
    """Every column but the standard errors."""
    columns = {name: value for row in rows for name, value in row.items() if value is not None}
    return [
        f"{name}:{'N' if isinstance(value, str) else 'Q'}"
        for name, value in columns.items()
        if not name.endswith("_sem")
    ]
