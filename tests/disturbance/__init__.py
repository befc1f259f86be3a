"""A run small enough to be made in tests, and a made-up one for what only shows results."""

import functools
from dataclasses import replace

import numpy as np

from ntkcheck.disturbance import Experiment, Result, Settings, prepare
from ntkcheck.disturbance.settings import Cell
from ntkcheck.measurement import Measurement
from ntkcheck.stats import Estimate
from ntkcheck.store import Record

TINY = Settings(
    populations=("gaussian",),
    normalizers=("batch_norm",),
    batch_sizes=(4, 8, 16),
    features=(4,),
    group_sizes=(2,),
    iterations=(3,),
    draws=6,
    samples=120,
)
OPTIONS = [  # the same for the command
    *("--population", "gaussian", "--normalizer", "batch_norm", "--batch-size", "4,8,16", "--features", "4"),
    *("--group-size", "2", "--iterations", "3", "--draws", "6", "--samples", "120"),
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


def record(cell: Cell, found: Experiment, measurements, **changes) -> Record:
    """A record whose numbers are invented."""
    made = Record(
        function="ntkcheck.disturbance.cells:normalizer_disturbance",
        parameters=found.parameters(cell),
        measurements=tuple(measurements),
        failure=None,
        seed=0,
        started="2020-01-01T00:00:00+00:00",
        seconds=1.23456,
        provenance={"jax": "0.10"},
    )
    return replace(made, **changes)


def made_up(seed=0, **changes) -> Result:
    """A result in which SND is 3 / sqrt(m) to 1%, the law is 10% above at m = 4 and exact beyond, and the rest is invented."""
    rng, found = np.random.default_rng(seed), experiment(**changes)
    records = {}
    for cell in found.cells:
        m = cell.batch_size
        snd = 3 / m**0.5 * rng.uniform(0.995, 1.005)
        numbers = {
            "snd": Estimate(snd, 0.01 * snd, 100),
            "snd_biased": Estimate(0.9 * snd, 0.01 * snd, 100),
            "snd_relative": Estimate(1.25 * snd, 0.01 * snd, 100),
            "rms": Estimate(0.8, 0.001, 8),
            "condition_number": Estimate(rng.uniform(1, 20), 0.1, 8),
            "stable_rank": Estimate(rng.uniform(1, 4), 0.1, 8),
        }
        if cell.line.normalizer != "pca":
            numbers["law_first_order"] = Estimate(3 / m**0.5 * (1.1 if m == 4 else 1), 0.0, 0)
        records[cell] = record(cell, found, [Measurement(name, each, "made up") for name, each in numbers.items()])
    return Result(found, records)
