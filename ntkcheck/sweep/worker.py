"""What a local worker process does before it measures; Dask calls it."""

import signal


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the one that runs the sweep: it stops the workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
