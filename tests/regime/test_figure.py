"""The figure: everything is labelled, and the same result gives the same bytes."""

import itertools
import math
import re

import numpy as np
import pytest
from matplotlib.colors import to_hex

from ntkcheck.measurement import FINITE, INFINITE, series
from ntkcheck.output import save_figure
from ntkcheck.regime import figure
from ntkcheck.regime.figure import COLOURS, PANELS, draw
from ntkcheck.regime.run import Curve
from ntkcheck.regime.theory import stationary
from tests.regime import TINY, made_up


def texts(svg):
    """The words in an SVG; letters stay text."""
    return re.findall(r">([^<>]+)</text>", svg)


def saved(result, folder):
    folder.mkdir(parents=True, exist_ok=True)
    return [path.read_bytes() for path in save_figure(draw(result.curves(), TINY), folder / "regime")]


def test_the_same_result_gives_the_same_bytes(tmp_path):
    svg, png = saved(made_up(), tmp_path / "a")
    again_svg, again_png = saved(made_up(), tmp_path / "b")
    assert svg == again_svg
    assert png == again_png
    assert svg != saved(made_up(seed=1), tmp_path / "c")[0]  # power
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"regime.svg", "regime.png"}
    assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize("names", [("none",), ("none", "batch_norm", "layer_norm")])
def test_every_panel_and_normaliser_is_labelled(tmp_path, names):
    result = made_up(names)
    words = texts(saved(result, tmp_path)[0].decode())
    for label, title in PANELS.values():
        assert label in words
        assert title in words
    assert words.count("depth (hidden layers)") == 3
    for name in names:
        assert words.count(name) == 1
    caption = next(word for word in words if "lines: infinite width" in word)
    assert "relu, width 24, batches of 8 from digits" in caption
    assert "mean over 3 networks" in caption


def test_lines_are_theory_and_points_are_networks():
    result = made_up(("none",))
    axes = draw(result.curves(), TINY).axes
    for axis, quantity in zip(axes, PANELS, strict=True):
        theory, networks = (c for c in result.curves() if c.quantity == quantity)
        line, points = (drawn for drawn in axis.lines if len(drawn.get_xdata()) == 6 and drawn.get_marker() != "_")
        assert (theory.width, networks.width) == (INFINITE, FINITE)
        np.testing.assert_array_equal(line.get_ydata(), theory.series.value)
        np.testing.assert_array_equal(points.get_ydata(), networks.series.value)
        assert (line.get_linestyle(), points.get_linestyle()) == ("-", "None")
        assert to_hex(line.get_color()) == to_hex(points.get_color()) == COLOURS[0].lower()
        (bars,) = axis.containers
        low = np.array([segment[0, 1] for segment in bars.lines[2][0].get_segments()])
        np.testing.assert_allclose(networks.series.value - low, networks.series.sem, rtol=1e-12)


def test_sampled_theory_has_a_band_of_its_standard_error():
    samples = np.random.default_rng(0).uniform(1, 2, (4, 6))
    sampled = series(samples, np.arange(6))
    assert sampled.sem.min() > 0
    band = draw([Curve("mine", "gradient_through_depth", INFINITE, sampled)], TINY).axes[2].collections
    assert len(band) == 1
    heights = band[0].get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx((sampled.value + sampled.sem).max(), rel=1e-12)
    assert heights.min() == pytest.approx((sampled.value - sampled.sem).min(), rel=1e-12)


def test_breakdowns_leave_gaps(tmp_path):
    value = np.array([1.0, 2.0, math.nan, math.inf, 1.0])
    broken = series(value[None], np.arange(5))._replace(sem=np.where(np.isfinite(value), 0.1, math.nan))
    curves = [Curve("none", quantity, width, broken) for quantity in PANELS for width in (INFINITE, FINITE)]
    svg, _ = save_figure(draw(curves, TINY), tmp_path / "regime")
    assert b"nan" not in svg.read_bytes().lower()


def test_at_most_about_ten_points_are_drawn_and_the_last_always():
    for layers, index in itertools.product((1, 2, 9, 10, 49, 200), range(9)):
        shown = figure._spread_out(layers, index)
        assert min(layers, 10) - 1 <= len(shown) <= 20  # every layers // 10 layers, and the last
        assert shown[-1] == layers - 1
        assert (np.diff(shown) > 0).all()


def test_more_normalisers_than_colours_still_differ():
    drawn = series(np.ones((2, 3)), np.arange(3))
    curves = [Curve(f"n{i}", "gradient_through_depth", FINITE, drawn) for i in range(12)]
    drawn = [line for line in draw(curves, TINY).axes[2].lines if line.get_marker() not in ("_", "None")]
    looks = {(to_hex(line.get_color()), line.get_marker()) for line in drawn}
    assert len(looks) == 12


def test_stationary_growth_leaves_out_a_fifth_at_either_end():
    growth = np.stack([np.arange(10.0), np.full(10, 3.0)])
    growth[:, [0, 1, 8, 9]] = 1e6
    np.testing.assert_array_equal(stationary(growth), [4.5, 3])
    assert stationary(np.array([2.0])) == 2
