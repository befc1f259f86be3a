from dataclasses import dataclass

import numpy as np
import pytest

from ntkcheck.sweep import cells


@dataclass(frozen=True)
class Grid:
    depth: tuple[int, ...] = (1, 2)
    normalizer: str = "batch_norm"
    width: tuple[int, ...] = (10, 20, 30)


@dataclass(frozen=True)
class Image:
    shape: tuple[tuple[int, int], ...] = ((28, 28),)
    levels: list[int] | None = None


@dataclass(frozen=True)
class Nothing:
    pass


def test_cells_are_the_product_of_the_axes_and_the_last_one_is_fastest():
    found = cells(Grid())
    assert [(cell["depth"], cell["width"]) for cell in found] == [(1, 10), (1, 20), (1, 30), (2, 10), (2, 20), (2, 30)]


def test_fields_that_are_no_tuples_are_the_same_in_every_cell_and_keep_their_place():
    assert cells(Grid())[0] == {"depth": 1, "normalizer": "batch_norm", "width": 10}
    assert [list(cell) for cell in cells(Grid())] == [["depth", "normalizer", "width"]] * 6


def test_a_tuple_that_is_one_value_is_an_axis_of_one():
    assert cells(Image(levels=[1, 2])) == [{"shape": (28, 28), "levels": [1, 2]}]


def test_a_grid_without_fields_is_one_cell_without_parameters():
    assert cells(Nothing()) == [{}]


def test_cells_that_are_written_out_are_taken_as_they_are():
    written = [{"x": 2}, {"x": 1, "y": "a"}]
    assert cells(iter(written)) == written


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (Grid(depth=()), r"at least one value on every axis, got depth=\(\)"),
        (Grid(depth=(1, 2, 1)), "every cell once, got .*'depth': 1.* twice"),
        (Grid(depth=(1, 1.0)), "every cell once"),
        ([{"x": float("nan")}, {"x": float("nan")}], "every cell once"),
        ([{"x": 1, "y": 2}, {"y": 2, "x": 1}], "every cell once"),
        ([], "at least one cell, got none"),
        (Grid, "must be an instance, got the class Grid; call it"),
        ({"depth": (1, 2)}, "must be an instance of a dataclass or an iterable of dicts"),
        ("depth", "must be an instance of a dataclass or an iterable of dicts"),
        (3, "must be an instance of a dataclass or an iterable of dicts of parameters, got 3"),
        (None, "must be an instance of a dataclass or an iterable of dicts of parameters, got None"),
        ([1, 2], "must hold dicts from names of parameters to values, got 1"),
        ([{1: 2}], "must hold dicts from names of parameters to values"),
        (["ab"], "must hold dicts"),
        ([{"x": np.zeros(3)}], "`x` must be .* got ndarray"),
        ([{"x": lambda y: y}], "`x`"),
        ([{"x": {1, 2}}], "`x` must be .* got set"),
    ],
)
def test_a_bad_grid_is_refused_with_what_would_do(grid, message):
    with pytest.raises(ValueError, match=message):
        cells(grid)
