"""A run small enough to be made in tests, and a made-up one for what only shows results."""

import functools
from dataclasses import replace

import numpy as np

from ntkcheck.measurement import FINITE, INFINITE, Measurement
from ntkcheck.regime import Experiment, Result, Settings, prepare
from ntkcheck.regime.curves import curve
from ntkcheck.stats import Estimate

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


def made_up(names=("none", "batch_norm"), seed=0) -> Result:
    """A result whose numbers are invented."""
    rng, result = np.random.default_rng(seed), Result(experiment(normalizers=names))
    for name in names:
        for quantity in ("correlation_slope", "gradient_growth", "ntk_condition"):
            value = float(rng.uniform(1, 2))
            for width, estimate in ((INFINITE, Estimate(value, 0.0, 0)), (FINITE, Estimate(value, 0.01, 10))):
                result.measurements.add(Measurement(name, quantity, width, estimate, "made up"))
        for quantity in ("correlation", "ntk_off_diagonal", "gradient"):
            samples = rng.uniform(0, 2, (4, 6))
            result.curves += [
                curve(name, quantity, INFINITE, np.arange(6), samples[:1]),
                curve(name, quantity, FINITE, np.arange(6), samples),
            ]
        result.seconds[f"{name}, infinite width"] = 1.23456
    return result
