"""The run: every measurement a cell in the store as soon as it is done."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ntkcheck import records
from ntkcheck.measurement import Series
from ntkcheck.records import Row
from ntkcheck.reference.experiment import Cell, Experiment
from ntkcheck.reference.settings import WHAT
from ntkcheck.stats import Estimate
from ntkcheck.store import Record, Store, key_of, reference
from ntkcheck.sweep import OnProgress
from ntkcheck.sweep import run as sweep


@dataclass(frozen=True)
class Result:
    """What is known of an experiment.

    Attributes:
        experiment: What was asked.
        records: Of each cell, by its place among the experiment's cells; those that there are.
    """

    experiment: Experiment
    records: dict[int, Record]

    @property
    def complete(self) -> bool:
        """Whether everything was measured."""
        return len(self.records) == len(self.experiment.cells) and not self.failures

    @property
    def failures(self) -> dict[str, str]:
        """Why there are no numbers of a cell, by subject and kind."""
        return records.failures(self.by_name)

    @property
    def by_name(self) -> dict[str, Record]:
        """The records by subject and kind: "resnet18 (cifar), batch_norm, memory"."""
        return {f"{cell.subject}, {cell.kind}": record for cell, record in self.found()}

    def found(self) -> Iterator[tuple[Cell, Record]]:
        """The cells that have a record, with it."""
        return ((self.experiment.cells[i], record) for i, record in self.records.items())

    def rows(self) -> Iterator[Row[Cell, Estimate]]:
        """Every number, cell by cell."""
        return records.rows(self.found(), Estimate)

    def curves(self) -> Iterator[Row[Cell, Series]]:
        """Every series, cell by cell."""
        return records.rows(self.found(), Series)


def run(
    experiment: Experiment,
    store: Store,
    workers: int = 0,
    scheduler: str | None = None,
    on_progress: OnProgress | None = None,
) -> Result:
    """Measure what the store does not have, one cell at a time where time and memory are looked at.

    Shapes are evaluated first.

    Args:
        experiment: From `prepare(settings)`.
        store: Keeps every cell as soon as it is measured; an interruption loses only those that are being measured.
        workers: Processes to measure in; 0 for this one.
        scheduler: Address of a Dask scheduler, whose workers measure instead.
        on_progress: Called whenever a cell is done.

    Raises:
        StoreError: If the store cannot keep what was measured.
    """
    for cells in _in_order(experiment.cells):
        sweep(
            [cell.parameters for cell in cells],
            cells[0].function,
            store,
            workers=workers,
            scheduler=scheduler,
            retry_failed=True,
            on_progress=on_progress,
        )
    return stored(experiment, store)


def stored(experiment: Experiment, store: Store) -> Result:
    """What the store has of an experiment, without measuring."""
    records = {
        i: store.find(key_of(reference(cell.function), cell.parameters)) for i, cell in enumerate(experiment.cells)
    }
    return Result(experiment, {i: record for i, record in records.items() if record})


def _in_order(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """The cells of each kind, those of `memory` and `program` first."""
    order: list[str] = sorted(WHAT, key=lambda what: what not in ("memory", "program"))

    def place(cell: Cell) -> int:
        return order.index(cell.kind.partition(",")[0])

    for _, group in groupby(sorted(cells, key=place), key=place):
        yield list(group)
