"""The run: every cell in the store as soon as it is done, and what the store has of it as lines over batch sizes."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ntkcheck import records, snd
from ntkcheck.disturbance.cells import normalizer_disturbance
from ntkcheck.disturbance.normalizer import name_of
from ntkcheck.disturbance.prediction import EXACT, FIRST_ORDER
from ntkcheck.disturbance.settings import Cell, Experiment, Line
from ntkcheck.records import Row
from ntkcheck.stats import Estimate, PowerLaw, fit_power_law
from ntkcheck.store import Record, Store
from ntkcheck.sweep import OnProgress
from ntkcheck.sweep import run as sweep

LARGE = 4  # times the group: batch sizes from there on enter the slope


@dataclass(frozen=True)
class Result:
    """What is known of an experiment.

    Attributes:
        experiment: What was asked.
        records: Of each cell; those that there are.
    """

    experiment: Experiment
    records: dict[Cell, Record]

    @property
    def complete(self) -> bool:
        """Whether every cell was measured."""
        return len(self.records) == len(self.experiment.cells) and not self.failures

    @property
    def failures(self) -> dict[Cell, str]:
        """Why a cell has no numbers."""
        return records.failures(self.records)

    @property
    def lines(self) -> list[Line]:
        """Normalisers on populations, in the order of the populations and normalisers that were asked for."""
        settings = self.experiment.settings
        populations, names = list(self.experiment.populations), [name_of(choice) for choice in settings.normalizers]
        return sorted(
            dict.fromkeys(cell.line for cell in self.experiment.cells),
            key=lambda line: (
                populations.index((line.population, line.features)),
                names.index(line.normalizer),
                line.group_size or 0,
                line.iterations or 0,
            ),
        )

    def rows(self) -> Iterator[Row[Cell, Estimate]]:
        """Every number, cell by cell."""
        return records.rows(self.records.items(), Estimate)

    def over_batch_sizes(self, line: Line, quantity: str) -> dict[int, Estimate]:
        """A quantity of a line by batch size, where it was measured; `law` is the exact law, or else first order."""
        names = (EXACT, FIRST_ORDER) if quantity == "law" else (quantity,)
        found = {}
        for m, record in self._by_line.get(line, []):
            estimates = [e for name in names if isinstance(e := record.find(name), Estimate)]
            found |= {m: estimates[0]} if estimates else {}
        return dict(sorted(found.items()))

    @functools.cached_property
    def _by_line(self) -> dict[Line, list[tuple[int, Record]]]:
        found: dict[Line, list[tuple[int, Record]]] = {}
        for cell, record in self.records.items():
            found.setdefault(cell.line, []).append((cell.batch_size, record))
        return found

    def find(self, line: Line, batch_size: int, quantity: str) -> Estimate | None:
        """A number of a line at one batch size, or None where it was not measured."""
        return self.over_batch_sizes(line, quantity).get(batch_size)

    def holds_from(self, line: Line) -> int | None:
        """The smallest batch size from which on first order is within 5% of what was measured; None where it is at none.

        What two standard errors of the measurement and of the law can explain is not held against the law.
        """
        predicted, measured = (self.over_batch_sizes(line, quantity) for quantity in (FIRST_ORDER, "snd"))
        both = predicted.keys() & measured.keys()
        if not both:
            return None
        nearest = {m: _nearest(predicted[m], measured[m]) for m in both}
        return snd.holds_from({m: predicted[m].value for m in both}, nearest)

    def slope(self, line: Line) -> PowerLaw | None:
        """SND as a power of m, fitted over m >= 4 g; None where fewer than three batch sizes have a positive value."""
        measured = {
            m: e
            for m, e in self.over_batch_sizes(line, "snd").items()
            if m >= LARGE * (line.group_size or 1) and np.isfinite(e.value) and e.value > 1e-9 and e.sem > 0
        }
        if len(measured) < 3:
            return None
        value, sem, _ = np.array(list(measured.values())).T
        return fit_power_law(np.array(list(measured), float), value, sem)


def _nearest(law: Estimate, measured: Estimate) -> float:
    """The value nearest to the law within two standard errors of the difference."""
    room = 2 * float(np.hypot(law.sem, measured.sem))
    return float(np.clip(law.value, measured.value - room, measured.value + room))


def run(
    experiment: Experiment,
    store: Store,
    workers: int = 0,
    scheduler: str | None = None,
    on_progress: OnProgress | None = None,
) -> Result:
    """Measure what the store does not have; in this process two cells at a time, as one compiles while the other computes.

    Args:
        experiment: From `prepare(settings)`.
        store: Keeps every cell as soon as it is measured; an interruption loses only those that are being measured.
        workers: Processes to measure in; 0 for this one.
        scheduler: Address of a Dask scheduler, whose workers measure instead.
        on_progress: Called whenever a cell is done.

    Raises:
        StoreError: If the store cannot keep what was measured.
    """
    sweep(
        [experiment.parameters(cell) for cell in experiment.cells],
        normalizer_disturbance,
        store,
        threads=1 if workers or scheduler else 2,
        workers=workers,
        scheduler=scheduler,
        retry_failed=True,
        on_progress=on_progress,
    )
    return stored(experiment, store)


def stored(experiment: Experiment, store: Store) -> Result:
    """What the store has of an experiment, without measuring."""
    parameters = {cell: experiment.parameters(cell) for cell in experiment.cells}
    return Result(experiment, records.stored(store, normalizer_disturbance, parameters))
