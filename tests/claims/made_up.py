"""Evidence of which the measurements are made up from a law: what a check answers then is known exactly."""

import functools
from dataclasses import dataclass

import numpy as np

from ntkcheck import claims
from ntkcheck.measurement import Measurement, Series
from ntkcheck.regime import Settings, prepare
from ntkcheck.store import Store
from tests.regime import record

SETS = 8


@functools.cache
def experiment(**changes):
    """128 of the digits, unless changed."""
    return prepare(Settings(**{"normalizers": ("none",), "batch_size": 16, "pairs": 64} | changes))


@functools.cache
def evidence():
    """Evidence that is measured, with a store that the tests of a process share."""
    return claims.Evidence(Store(":memory:"), experiment())


@dataclass(frozen=True)
class MadeUp(claims.Evidence):
    """Answers `obtain` with {quantity: value} of `laws[function's name](**parameters)`, with `noise` from set to set."""

    laws: dict = None
    noise: float = 1e-3

    def obtain(self, function, **parameters):
        law = self.laws.get(function.__name__)
        found = law and law(**parameters)
        if not found:
            return None
        rng = np.random.default_rng(len(str(parameters)))
        values = {name: value * np.exp(self.noise * rng.standard_normal(SETS)) for name, value in found.items()}
        return record(Measurement(name, series(value), "made up") for name, value in values.items())


def series(values):
    return Series(np.asarray(values), np.zeros(len(values)), len(values), np.arange(len(values)))


def made_up(noise=1e-3, **laws):
    return MadeUp(Store(":memory:"), experiment(), laws=laws, noise=noise)


def within(estimate, truth, bias=0.0):
    """Four standard errors, and a bias that the caller states."""
    return abs(estimate.value - truth) <= 4 * estimate.sem + bias


def verdict(id, answers):
    return claims.verdicts({id: claims.load()[id]}, {id: answers})[id].verdict
