"""Cells that travel together, and the numerical configuration that travels with them."""

import time
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import jax

from ntkcheck.store import Record, resolve
from ntkcheck.sweep.cell import Measure, measure_cell
from ntkcheck.sweep.grid import Cell

CHUNK_SECONDS = (
    0.1  # long against the milliseconds that a chunk's way costs; a crash loses finished cells of at most twice that
)


class Configuration(NamedTuple):
    """What of JAX's configuration changes numbers.

    Attributes:
        x64: Whether Python's floats become float64.
        matmul_precision: Of matrix products; None is the device's own.
    """

    x64: bool
    matmul_precision: str | None

    @classmethod
    def current(cls) -> "Configuration":
        """That of the calling thread."""
        config = jax.config
        return cls(config.jax_enable_x64, config.jax_default_matmul_precision)  # pyright: ignore[reportAttributeAccessIssue]


def measure_chunk(function: str, cells: Sequence[Cell], configuration: Configuration) -> list[Record]:
    """The records of the first cells of a chunk, at least one: those that are begun within twice `CHUNK_SECONDS`.

    A chunk that turns out long ends early, so that what it has measured is stored before the rest is.
    """
    measure, records, start = _resolve(function), [], time.perf_counter()
    with jax.enable_x64(configuration.x64), jax.default_matmul_precision(configuration.matmul_precision):
        for cell in cells:
            records.append(measure_cell(measure, cell))
            if time.perf_counter() - start > 2 * CHUNK_SECONDS:
                break
    return records


@cache
def _resolve(function: str) -> Measure:
    return resolve(function)
