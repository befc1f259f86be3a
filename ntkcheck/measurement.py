"""Measurements by name: a value, its standard error, how it was obtained."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ntkcheck.stats import Estimate, Interval, interval, mean_estimate

INFINITE = "infinite"
FINITE = "finite"


class Measurement(NamedTuple):
    """One measured number.

    Attributes:
        subject: What is measured: a normaliser's name, or the claim that the measurement serves.
        quantity: Which number of it.
        width: `INFINITE` or `FINITE`.
        estimate: Value, standard error and sample count.
        method: How it was obtained, with what the error covers.
    """

    subject: str
    quantity: str
    width: str
    estimate: Estimate
    method: str


def summarize(samples: Float[np.ndarray, " samples"]) -> Estimate:
    """The mean of independent samples with its standard error; where one is not finite, neither is the value, and it has no error.

    A computation that broke down is a result: it is kept, and decides nothing.
    """
    if np.isfinite(samples).all():
        return mean_estimate(samples)
    return Estimate(float(np.mean(samples)), math.nan, len(samples))


def confidence_interval(estimate: Estimate, level: float) -> Interval:
    """The estimate's interval at `level`; a value that is not finite stands for itself, [inf, inf] or [nan, nan]."""
    if not math.isfinite(estimate.value):
        return Interval(estimate.value, estimate.value)
    return interval(estimate, level)


class Measurements:
    """Measurements in the order in which they were made, found by subject, quantity and width."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, str, str], Measurement] = {}

    def add(self, measurement: Measurement) -> None:
        """Keep a measurement; a key is measured once."""
        key = measurement[:3]
        if key in self._by_key:
            raise ValueError(f"`measurement` {key} was made already; give the second one a name of its own.")
        self._by_key[key] = measurement

    def find(self, subject: str, quantity: str, width: str = FINITE) -> Estimate | None:
        """The estimate under a key, or None where this run did not measure it."""
        found = self._by_key.get((subject, quantity, width))
        return found.estimate if found else None

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)
