"""A sweep in a process of its own, that a test interrupts: `python -m tests.sweep.interrupted STORE threads|workers`."""

import sys

from ntkcheck.store import Store
from ntkcheck.sweep import run
from tests.sweep.measures import draw

CELLS, SECONDS = 400, 0.02


def main(path: str, kind: str) -> None:
    grid = [{"cell": cell, "seconds": SECONDS} for cell in range(CELLS)]
    with Store(path) as store:
        try:
            run(grid, draw, store, on_progress=lambda progress: print(progress.done, flush=True), **{kind: 2})
        except KeyboardInterrupt:
            print("interrupted", len(store), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
