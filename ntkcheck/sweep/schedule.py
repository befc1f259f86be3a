"""Which cells are measured next, where, and what comes back of them."""

import math
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import NamedTuple

from ntkcheck.store import Record
from ntkcheck.sweep.cell import unmeasured
from ntkcheck.sweep.chunk import CHUNK_SECONDS, Configuration, measure_chunk
from ntkcheck.sweep.grid import Cell
from ntkcheck.sweep.pool import Pool

LOOK_SECONDS = 1.0  # between looks at how many workers there are: a cluster may grow and shrink
GRACE_SECONDS = 1.0  # for what has begun to end, after an interruption
FIRST_CELLS = 10  # of a chunk, while nothing is known of their length: where they are long it ends early
AHEAD = 2  # chunks in flight per slot, so that none waits for the next


class Chunk(NamedTuple):
    """Cells in flight together.

    Attributes:
        cells: What is measured, in this order.
        alone: Whether nothing else was in flight, because a worker died with these cells before.
    """

    cells: Sequence[Cell]
    alone: bool


class Schedule:
    """The cells that are waiting, in flight, and measured but not yet stored.

    Cells whose worker died are measured again at the end, one by one with nothing else in flight: what then dies is at
    fault itself, and becomes a failed record.

    Attributes:
        unsaved: Records by key; whoever stores them takes them out.
    """

    def __init__(self, function: str, cells: Sequence[Cell], pool: Pool) -> None:
        """A schedule of all `cells` of a measure function, given by reference."""
        self.unsaved: dict[str, Record] = {}
        self._function, self._pool = function, pool
        self._configuration = Configuration.current()
        self._waiting, self._suspects = deque(cells), deque[Cell]()
        self._running: dict[Future[list[Record]], Chunk] = {}
        self._cell_seconds = CHUNK_SECONDS / FIRST_CELLS
        self._slots, self._looked = 1, -math.inf

    def advance(self) -> bool:
        """Send out what there is room for and collect what has come back; whether there was anything left to do."""
        self._look()
        while self._waiting and len(self._running) < AHEAD * self._slots:
            self._send(Chunk([self._waiting.popleft() for _ in range(self._size())], alone=False))
        if self._suspects and not self._running:
            self._send(Chunk([self._suspects.popleft()], alone=True))
        if not self._running:
            return False
        for future in wait(self._running, LOOK_SECONDS, FIRST_COMPLETED).done:
            self._collect(future)
        return True

    def stop(self) -> None:
        """Collect what comes back within `GRACE_SECONDS` and send out nothing more."""
        self._pool.cancel_queued()
        begun = [future for future in self._running if not future.cancelled()]
        for future in wait(begun, GRACE_SECONDS).done:
            if not future.cancelled() and future.exception() is None:
                self._keep(future.result())

    def _look(self) -> None:
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._slots, self._looked = max(self._pool.slots(), 1), time.monotonic()

    def _size(self) -> int:
        """Cells of the next chunk: `CHUNK_SECONDS` long, shorter towards the end, where all slots should end together."""
        share = math.ceil(len(self._waiting) / (AHEAD * self._slots))
        longest = CHUNK_SECONDS / self._cell_seconds
        return min(len(self._waiting), max(1, round(longest / 10), min(share, round(longest))))

    def _send(self, chunk: Chunk) -> None:
        future = self._pool.executor.submit(measure_chunk, self._function, chunk.cells, self._configuration)
        self._running[future] = chunk

    def _collect(self, future: Future[list[Record]]) -> None:
        cells, alone = self._running[future]
        try:
            records = future.result()
        except self._pool.deaths as error:
            records = [unmeasured(self._function, cell, error) for cell in cells if alone]
            self._suspects.extend(() if alone else cells)
        except CancelledError:
            raise ConnectionError(
                "The Dask scheduler was lost; what was measured before is in the store. Start it and run again."
            ) from None
        else:
            self._waiting.extendleft(reversed(cells[len(records) :]))
            self._cell_seconds = max(sum(record.seconds for record in records) / len(records), CHUNK_SECONDS / 1000)
        self._keep(records)
        del self._running[future]

    def _keep(self, records: Sequence[Record]) -> None:
        self.unsaved.update((record.key, record) for record in records)
