"""The figure: everything is labelled, lines are laws, points are measurements, and the same result gives the same bytes."""

import math
import re

import numpy as np
import pytest

from ntkcheck.disturbance import Result
from ntkcheck.disturbance.figure import draw, pareto_front
from ntkcheck.measurement import Measurement
from ntkcheck.output import save_figure
from ntkcheck.stats import Estimate
from tests.disturbance import made_up, record

SEVERAL = {
    "normalizers": ("batch_norm", "iter_norm", "pca", "layer_norm"),
    "group_sizes": (2, 4),
    "iterations": (3, 5),
    "populations": ("gaussian", "student_t"),
}


def test_the_same_result_gives_the_same_bytes(tmp_path):
    svg, png = (path.read_bytes() for path in save_figure(draw(made_up(), 4), tmp_path / "a"))
    again = [path.read_bytes() for path in save_figure(draw(made_up(), 4), tmp_path / "b")]
    assert [svg, png] == again
    assert png.startswith(b"\x89PNG")
    assert svg != save_figure(draw(made_up(seed=1), 4), tmp_path / "c")[0].read_bytes()  # power


def test_every_panel_normaliser_and_group_is_labelled(tmp_path):
    svg, _ = save_figure(draw(made_up(**SEVERAL), 4), tmp_path / "a")
    words = re.findall(r">([^<>]+)</text>", svg.read_text())
    for label in (
        "batch_norm",
        "iter_norm, g = 2 (2 groups)",
        "iter_norm, g = 4 (1 group)",
        "layer_norm",
        "not dominated",
    ):
        assert words.count(label) == 1, label
    assert words.count("batch size m") == 2
    assert words.count("condition number of the output, m = 8") == 2
    assert words.count("Newton steps T, m = 8") == 2
    assert sum(word.startswith(("gaussian, condition", "student_t, condition")) for word in words) == 2
    assert "6 draws an anchor, shared design" in " ".join(words)


def test_lines_are_laws_and_points_measurements_with_standard_errors():
    result = made_up()
    (line,) = result.lines
    axis = draw(result, 4).axes[0]
    law, points = (drawn for drawn in axis.lines if len(drawn.get_xdata()) == 3 and drawn.get_marker() != "_")
    np.testing.assert_array_equal(law.get_ydata(), [e.value for e in result.over_batch_sizes(line, "law").values()])
    measured = list(result.over_batch_sizes(line, "snd").values())
    np.testing.assert_array_equal(points.get_ydata(), [e.value for e in measured])
    assert (law.get_linestyle(), points.get_linestyle()) == ("-", "None")
    low = np.array([segment[0, 1] for segment in axis.containers[0].lines[2][0].get_segments()])
    np.testing.assert_allclose([e.value - e.sem for e in measured], low, rtol=1e-12)


def test_where_there_is_no_law_measurements_are_joined_by_dots():
    axis = draw(made_up(normalizers=("pca",)), 4).axes[0]
    assert ":" in {drawn.get_linestyle() for drawn in axis.lines}
    assert "-" not in {drawn.get_linestyle() for drawn in axis.lines if len(drawn.get_xdata()) == 3}


def test_the_front_holds_what_nothing_beats_in_both():
    points = [(3.0, 1.0), (1.0, 3.0), (2.0, 2.0), (2.0, 2.5), (3.0, 3.0), (1.0, 4.0), (5.0, 1.0)]
    assert pareto_front(points) == [(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]
    assert pareto_front([]) == []
    by_definition = [p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)]
    assert sorted(by_definition) == pareto_front(points)


@pytest.mark.parametrize("value", [math.nan, 0.0, 1e-15])
def test_breakdowns_and_silent_normalisers_leave_no_point(tmp_path, value):
    result = made_up()
    records = {
        cell: record(
            cell,
            result.experiment,
            [Measurement(q, Estimate(value, value, 3), "") for q in ("snd", "condition_number", "snd_relative")],
        )
        for cell in result.records
    }
    figure = draw(Result(result.experiment, records), 4)
    assert all(not axis.lines for axis in figure.axes)
    svg, _ = save_figure(figure, tmp_path / "a")
    assert ("SND 0" in svg.read_text()) == (value == value)


def test_nothing_measured_yet_still_draws(tmp_path):
    assert save_figure(draw(Result(made_up().experiment, {}), 4), tmp_path / "a")[1].exists()
