"""A run small enough to be made in tests, and a made-up one for what only shows results."""

import functools
from dataclasses import replace

import numpy as np

from ntkcheck.measurement import FINITE, INFINITE, Measurement, Series, series
from ntkcheck.regime import Experiment, Result, Settings, prepare
from ntkcheck.stats import Estimate
from ntkcheck.store import Record

TINY = Settings(depth=6, width=24, batch_size=8, pairs=8, seeds=3, samples=256, normalizers=("none",))
OPTIONS = [  # the same for the command
    part
    for name in ("depth", "width", "batch_size", "pairs", "seeds", "samples")
    for part in (f"--{name.replace('_', '-')}", str(getattr(TINY, name)))
]

OWN_BATCH_NORM = """
import jax.numpy as jnp

def own_batch_norm(x):
    centred = x - x.mean(axis=0, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(axis=0, keepdims=True))
"""


@functools.cache
def experiment(**changes) -> Experiment:
    return prepare(replace(TINY, **changes))


def numbers_and_curves(measurements):
    """Measurements of numbers, and series, by quantity."""
    curves = {m.quantity: m.estimate for m in measurements if isinstance(m.estimate, Series)}
    return {m.quantity: m for m in measurements if m.quantity not in curves}, curves


def record(measurements, **changes) -> Record:
    """A record whose numbers are invented."""
    made = Record(
        function="tests.regime:made_up",
        parameters={},
        measurements=tuple(measurements),
        failure=None,
        seed=0,
        started="2020-01-01T00:00:00+00:00",
        seconds=1.23456,
        provenance={"jax": "0.10"},
    )
    return replace(made, **changes)


def made_up(names=("none", "batch_norm"), seed=0) -> Result:
    """A result whose numbers are invented."""
    rng, records = np.random.default_rng(seed), {}
    for name in names:
        values = {quantity: rng.uniform(1, 2) for quantity in ("correlation_slope", "gradient_growth", "ntk_condition")}
        samples = {quantity: rng.uniform(0, 2, (4, 6)) for quantity in ("correlation", "ntk_off_diagonal", "gradient")}
        for width, noise in ((INFINITE, (0.0, 0)), (FINITE, (0.01, 10))):
            numbers = {quantity: Estimate(value, *noise) for quantity, value in values.items()}
            through_depth = {
                f"{quantity}_through_depth": series(drawn if width == FINITE else drawn[:1], np.arange(6))
                for quantity, drawn in samples.items()
            }
            found = numbers | through_depth
            records[name, width] = record(
                (Measurement(quantity, estimate, "made up") for quantity, estimate in found.items()),
                parameters={"normalizer": name, "side": width},
            )
    return Result(experiment(normalizers=names), records)
