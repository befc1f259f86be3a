"""The run: every normaliser in infinite and in finite width, each a cell in the store as soon as it is done."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ntkcheck import records
from ntkcheck.measurement import FINITE, INFINITE, Series
from ntkcheck.regime.cells import normalizer_regime
from ntkcheck.regime.settings import Experiment
from ntkcheck.regime.verdict import DECIDED_BY, Regime, regimes
from ntkcheck.stats import Estimate
from ntkcheck.store import Record, Store
from ntkcheck.sweep import OnProgress
from ntkcheck.sweep import run as sweep

# Normalisers without batched factorisations: two of those at the same time can wait for each other for ever (jaxlib 0.10.2, CPU).
OVERLAPPING = {"none", "weight_mean", "batch_norm", "layer_norm", "iter_norm"}


class Row(NamedTuple):
    """One number of a run: a normaliser's quantity at `INFINITE` or `FINITE` width, and the record that it comes from."""

    subject: str
    quantity: str
    width: str
    estimate: Estimate
    method: str
    record: Record


class Curve(NamedTuple):
    """A normaliser's quantity through depth (`series.at` are layers) at `INFINITE` or `FINITE` width."""

    subject: str
    quantity: str
    width: str
    series: Series


@dataclass(frozen=True)
class Result:
    """What is known of an experiment.

    Attributes:
        experiment: What was asked.
        records: Of each normaliser, by name and width; those that there are.
    """

    experiment: Experiment
    records: dict[tuple[str, str], Record]

    @property
    def complete(self) -> bool:
        """Whether every normaliser was measured at both widths."""
        return len(self.records) == 2 * len(self.experiment.networks) and not self.failures

    @property
    def failures(self) -> dict[tuple[str, str], str]:
        """Why a normaliser has no numbers at a width, by name and width."""
        return records.failures(self.records)

    def rows(self) -> Iterator[Row]:
        """Every number, normaliser by normaliser."""
        for (name, width), quantity, estimate, method, record in records.rows(self.records.items(), Estimate):
            yield Row(name, quantity, width, estimate, method, record)

    def curves(self) -> Iterator[Curve]:
        """Every quantity through depth."""
        for (name, width), quantity, series, _, _ in records.rows(self.records.items(), Series):
            yield Curve(name, quantity, width, series)

    def find(self, name: str, quantity: str, width: str = FINITE) -> Estimate | None:
        """A normaliser's number, or None where it was not measured."""
        record = self.records.get((name, width))
        estimate = record.find(quantity) if record else None
        return estimate if isinstance(estimate, Estimate) else None

    def regimes(self) -> dict[str, dict[str, Regime]]:
        """Regime of each normaliser by respect."""
        return {
            name: regimes(*self._growth(name), self.experiment.settings.depth, records.LEVEL)
            for name in self.experiment.networks
        }

    def _growth(self, name: str) -> tuple[dict[str, Estimate | None], dict[str, Estimate | None]]:
        finite, infinite = (
            {respect: self.find(name, quantity, width) for respect, quantity in DECIDED_BY.items()}
            for width in (FINITE, INFINITE)
        )
        return finite, infinite


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
    threads = 2 if experiment.networks.keys() <= OVERLAPPING else 1
    cells = list(_cells(experiment).values())
    sweep(
        cells,
        normalizer_regime,
        store,
        threads=threads,
        workers=workers,
        scheduler=scheduler,
        retry_failed=True,
        on_progress=on_progress,
    )
    return stored(experiment, store)


def stored(experiment: Experiment, store: Store) -> Result:
    """What the store has of an experiment, without measuring."""
    return Result(experiment, records.stored(store, normalizer_regime, _cells(experiment)))


def _cells(experiment: Experiment):
    chosen = zip(experiment.networks, experiment.settings.normalizers, strict=True)
    return {(name, side): experiment.cell(choice, side) for name, choice in chosen for side in (INFINITE, FINITE)}
