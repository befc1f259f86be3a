"""A record: one call of a measure function, with what it found or why it failed, and where that comes from."""

import functools
from dataclasses import dataclass
from typing import Any

from ntkcheck.measurement import Measurement, Series
from ntkcheck.stats import Estimate
from ntkcheck.store.parameters import canonical, key_of


@dataclass(frozen=True, eq=False)
class Record:
    """What a function measured at some parameters.

    Records are compared by identity, because arrays have no single truth.

    Attributes:
        function: Reference of the function.
        parameters: What it was called with, in the form of `canonical`.
        measurements: What it found; none where it failed.
        failure: Why it found nothing, "ValueError: ..." and where, or None.
        seed: Of the random key that it was given.
        started: When, in UTC by the wall clock, as ISO 8601; nothing is ordered by it, because clocks are set back.
        seconds: How long it took.
        provenance: Versions, device, number format and code; see `provenance`.
    """

    function: str
    parameters: dict[str, Any]
    measurements: tuple[Measurement, ...]
    failure: str | None
    seed: int
    started: str
    seconds: float
    provenance: dict[str, str]

    def __post_init__(self):
        object.__setattr__(self, "parameters", canonical(self.parameters))
        object.__setattr__(self, "measurements", tuple(self.measurements))
        if self.failure is not None and self.measurements:
            raise ValueError(
                f"`failure` must be None where something was measured, got {self.failure!r} and "
                f"{len(self.measurements)} measurements; leave out the one or the other."
            )

    @functools.cached_property
    def key(self) -> str:
        """Key of the cell: `key_of(function, parameters)`."""
        return key_of(self.function, self.parameters)

    def find(self, quantity: str) -> Estimate | Series | None:
        """The estimate of a quantity, or None where it was not measured."""
        return next((m.estimate for m in self.measurements if m.quantity == quantity), None)
