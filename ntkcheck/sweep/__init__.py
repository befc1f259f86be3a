"""Sweeps: a measure function called on every cell of a grid, on threads, processes or a Dask cluster, and kept in a store.

A measure function belongs to a module or a script, and returns what it measured. `width.py`:

    from dataclasses import dataclass

    import jax
    import numpy as np

    from ntkcheck.measurement import Measurement, summarize
    from ntkcheck.store import Store
    from ntkcheck.sweep import progress_bar, run


    @dataclass(frozen=True)
    class Grid:
        width: tuple[int, ...] = (64, 256, 1024)  # a tuple is an axis
        depth: tuple[int, ...] = (1, 4)
        draws: int = 100  # anything else is the same in every cell


    def second_moment(key, width, depth, draws):
        signs = jax.random.rademacher(key, (draws, depth, width), dtype=float)
        return [Measurement("second moment", summarize(np.asarray((signs.mean(-1) ** 2).mean(-1))), f"{draws} draws")]


    if __name__ == "__main__":  # the worker processes import this file
        with Store("width.db") as store, progress_bar() as on_progress:
            for record in run(Grid(), second_moment, store, workers=2, on_progress=on_progress):
                print(record.parameters, record.find("second moment"), record.failure or "")

Run it twice: the second time nothing is measured. Kill it: the next run goes on where it was.
"""

from ntkcheck.sweep.cell import Measure, measure_cell, obtain, recorded
from ntkcheck.sweep.grid import cells
from ntkcheck.sweep.progress import OnProgress, Progress, progress_bar
from ntkcheck.sweep.run import run

__all__ = ["Measure", "OnProgress", "Progress", "cells", "measure_cell", "obtain", "progress_bar", "recorded", "run"]
