"""What a check may use: measurements from the store, made where they are missing, and inputs."""

import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from ntkcheck import published
from ntkcheck.measurement import FINITE
from ntkcheck.regime.cells import normalizer_regime
from ntkcheck.regime.settings import Experiment
from ntkcheck.stats import Estimate
from ntkcheck.store import Record, Store, key_of, reference
from ntkcheck.sweep import obtain

Answers = dict[str, Estimate | None]


@dataclass(frozen=True)
class Evidence:
    """Measurements and inputs as the checks of claims see them.

    Attributes:
        store: Where measurements are.
        experiment: Networks and data that the checks about deep networks speak of.
        measures: Whether what the store lacks is measured; else it is missing.
        data: Path of the data that some claims need, or None.
        used: Records that a check has used, by key.
        turn: Held while something is measured, so that two checks that need the same do not both measure it.
    """

    store: Store
    experiment: Experiment
    measures: bool = True
    data: str | None = None
    used: dict[str, Record] = field(default_factory=dict)
    turn: Any = field(default_factory=threading.RLock, repr=False)

    def for_one_check(self) -> "Evidence":
        """The same, with its own account of what is used."""
        return replace(self, used={})

    def obtain(self, function: Callable[..., Any], **parameters: Any) -> Record | None:
        """The record of a measure function at these parameters, or None where it is missing and may not be measured, or failed."""
        with self.turn:
            record = self.found(function, **parameters)
            if record is not None or not self.measures:
                return record
            record = obtain(self.store, function, parameters)
        if record.failure:
            return None
        self.used[record.key] = record
        return record

    def found(self, function: Callable[..., Any], **parameters: Any) -> Record | None:
        """The record of a measure function at these parameters if the store has it or the package ships it; never measured."""
        key = key_of(reference(function), parameters)
        record = self.store.find(key)
        if record is None or record.failure:
            shipped = published.find(key)
            record = self.store.add(shipped)[0] if shipped else None
        if record is not None:
            self.used[record.key] = record
        return record

    def on_gpu(self, function: Callable[..., Any], **parameters: Any) -> Record | None:
        """`obtain` of what is measured on a GPU; without one, of what the store has or the package ships alone."""
        measures = self.measures and jax.default_backend() == "gpu"
        return replace(self, measures=measures).obtain(function, **parameters | {"device": "gpu"})

    def find(self, normalizer: str, quantity: str, side: str = FINITE, **others: Any) -> Estimate | None:
        """What the experiment's networks show under a normaliser; None where they are not those that the claims speak of.

        Other options than the experiment's may be given, as a greater number of random networks, `seeds`.
        """
        if not self.experiment.is_the_papers:
            return None
        record = self.obtain(normalizer_regime, **self.experiment.cell(normalizer, side) | others)
        found = record and record.find(quantity)
        return found if isinstance(found, Estimate) else None

    @property
    def batches(self) -> Float[np.ndarray, "batches batch features"]:
        """The experiment's mini-batches."""
        return self.experiment.batches

    @property
    def batch_size(self) -> int:
        """Samples that are normalised together."""
        return self.experiment.settings.batch_size

    @property
    def depth(self) -> int:
        """Hidden layers of the experiment's networks."""
        return self.experiment.settings.depth

    def generator(self, name: str) -> np.random.Generator:
        """NumPy's generator for the quantity of this name, whatever the order of the checks."""
        return np.random.default_rng([self.experiment.settings.seed, zlib.crc32(name.encode())])

    def key(self, name: str) -> Array:
        """A JAX key for the quantity of this name."""
        return self.experiment.key(name)


def exact(value: float) -> Estimate:
    """A value without sampling noise."""
    return Estimate(float(value), 0.0, 0)
