"""Grids of parameters: a frozen dataclass whose tuples are axes, or the cells written out."""

import dataclasses
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ntkcheck.store import key_of

Cell = dict[str, Any]


def cells(grid: object) -> list[Cell]:
    """The cells of a grid, each a dict of parameters: the product of its axes in the order of the fields, last fastest.

    Args:
        grid: an instance of a dataclass, in which every field that holds a tuple is an axis and every other field is the
            same in all cells (a tuple that is one value is written as an axis of one: `((28, 28),)`). Or an iterable of
            dicts of parameters, taken as they are.

    Returns:
        Every cell once, in the grid's order.

    Raises:
        ValueError: for an empty axis or grid, a cell that comes twice, parameters that cannot be stored, or something
            that is neither a dataclass nor cells.
    """
    return list(by_key(grid, "").values())


def by_key(grid: object, function: str) -> dict[str, Cell]:
    """The cells of a grid by their keys for the function of that reference, in the grid's order.

    Raises:
        ValueError: as `cells`.
    """
    found: dict[str, Cell] = {}
    for cell in _product(grid) if _is_instance(grid) else _written_out(grid):
        if (key := key_of(function, cell)) in found:
            raise ValueError(
                f"`grid` must hold every cell once, got {cell} twice (1 and 1.0 are the same); remove one of them."
            )
        found[key] = cell
    if not found:
        raise ValueError("`grid` must have at least one cell, got none; give the parameters of one.")
    return found


def check_parameters(measure: Callable[..., object], cells: Iterable[Cell]) -> None:
    """Raise ValueError where a cell has not the parameters that `measure` takes."""
    signature = inspect.signature(measure)
    for cell in cells:
        try:
            signature.bind(None, **cell)
        except TypeError as error:
            raise ValueError(
                f"`grid` must have the parameters of `measure`, {measure.__name__}{signature}, of which the first is the "
                f"random key; got {', '.join(cell) or 'none'}: {error}; rename, add or remove fields."
            ) from None


def _is_instance(grid: object) -> bool:
    if isinstance(grid, type) and dataclasses.is_dataclass(grid):
        raise ValueError(f"`grid` must be an instance, got the class {grid.__name__}; call it: {grid.__name__}(...).")
    return dataclasses.is_dataclass(grid)


def _product(grid: Any) -> list[Cell]:
    axes = {field.name: _axis(field.name, getattr(grid, field.name)) for field in dataclasses.fields(grid)}
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _axis(name: str, value: object) -> tuple[object, ...]:
    if value == ():
        raise ValueError(
            f"`grid` must have at least one value on every axis, got {name}=(); give one, or drop the axis."
        )
    return value if isinstance(value, tuple) else (value,)


def _written_out(grid: object) -> list[Cell]:
    if isinstance(grid, str | bytes | Mapping) or not isinstance(grid, Iterable):
        raise ValueError(
            f"`grid` must be an instance of a dataclass or an iterable of dicts of parameters, got {grid!r}; "
            "write `@dataclass(frozen=True) class Grid: depth: tuple[int, ...] = (1, 2, 4)` and pass `Grid()`."
        )
    found = list(grid)
    for cell in found:
        if not isinstance(cell, Mapping) or not all(isinstance(name, str) for name in cell):
            raise ValueError(
                f"`grid` must hold dicts from names of parameters to values, got {cell!r}; "
                'write each cell as {"depth": 3, "width": 300}.'
            )
    return [dict(cell) for cell in found]
