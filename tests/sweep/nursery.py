"""A process that has imported everything but used nothing of JAX, and forks a fresh sweep for every line that it reads.

Importing takes a second, which a test that kills fifty sweeps does not have fifty times; JAX's threads, which a fork would
leave behind, do not exist before a child starts them. A line holds a store, a log and a number of threads; answered are
"begin PID" when the child's sweep begins and "end STATUS" when the child is gone.
"""

import os
import sys

from ntkcheck.store import Store
from ntkcheck.sweep import run
from tests.sweep.measures import LOG, draw

CELLS, SECONDS = 200, 0.003


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def sweep(path: str, log: str, threads: str) -> None:
    os.environ[LOG] = log
    grid = [{"cell": cell, "seconds": SECONDS} for cell in range(CELLS)]
    with Store(path) as store:
        say("begin", os.getpid())
        run(grid, draw, store, threads=int(threads))


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            sweep(*line.split())
            os._exit(0)
        say("end", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
