"""One cell of a run: one normaliser on one population at one batch size."""

import contextlib
import functools
import threading
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from ntkcheck import data, snd
from ntkcheck.disturbance.conditioning import conditioning
from ntkcheck.disturbance.normalizer import SEQUENCES, Kind, file_digest, make, name_of
from ntkcheck.disturbance.prediction import predictions
from ntkcheck.disturbance.settings import digest
from ntkcheck.measurement import Measurement
from ntkcheck.normalizers import SequenceNormalizer
from ntkcheck.snd import Disturbance
from ntkcheck.stats import Estimate

# Two programs with batched factorisations at the same time can wait for each other for ever (jaxlib 0.10.2, CPU).
_ONE_FACTORISATION = threading.Lock()


@np.errstate(divide="ignore", invalid="ignore")  # what breaks down is recorded as such
def normalizer_disturbance(
    key: Array,
    population: str,
    inputs: str,
    normalizer: Any,
    batch_size: int,
    features: int,
    group_size: int | None,
    iterations: int | None,
    anchors: int,
    draws: int,
    design: str,
    replacement: bool,
    samples: int,
    seed: int,
    source: str | None = None,
) -> list[Measurement]:
    """SND, biased, corrected and relative, the output's spectrum, and the laws, from parameters alone (`Experiment.parameters`).

    Args:
        key: Of the draws.
        population: Name or path.
        inputs: Digest of its samples.
        normalizer: What is tested.
        batch_size: m.
        features: d.
        group_size: g, None where there are no groups.
        iterations: Newton steps, None where there are none.
        anchors: Of `snd.disturbance`.
        draws: Of `snd.disturbance`.
        design: Of `snd.disturbance`.
        replacement: Of `snd.disturbance`.
        samples: Of the population, at most.
        seed: Of the population.
        source: Digest of the normaliser's file, where it has one.

    Raises:
        ValueError: If the data or the normaliser's file are no longer those of the digest.
    """
    found = _population(population, samples, features, seed)
    for argument, expected, now in (("inputs", inputs, digest(found.x)), ("source", source, file_digest(normalizer))):
        if now != expected:
            raise ValueError(
                f"`{argument}` must be the digest of what is there, {now}, got {expected}: it has changed since; measure it "
                "under its new digest."
            )
    name, kind = name_of(normalizer), make(normalizer, batch_size, features, group_size, iterations)
    snd_key, spectrum_key = jax.random.split(key)
    with _ONE_FACTORISATION if normalizer not in WITHOUT_FACTORISATION else contextlib.nullcontext():
        disturbance = _disturbance(snd_key, kind, found.x, batch_size, anchors, draws, design, replacement)
        spectrum = conditioning(spectrum_key, kind, found.x, batch_size, replacement)
    with _ONE_FACTORISATION:  # eigenvalues of responses
        laws = predictions(found, name, batch_size, group_size, iterations, replacement)
    method = f"{spectrum.samples} normalised samples, error by the jackknife over blocks of batches"
    return [
        *_measurements(disturbance),
        *(Measurement(each, getattr(spectrum, each), method) for each in ("rms", "condition_number", "stable_rank")),
        *laws,
    ]


WITHOUT_FACTORISATION = (
    "batch_norm",
    "layer_norm",
    "iter_norm",
    "iter_norm_paper",
    "group_norm",
    "scaled_batch_norm",
    *SEQUENCES,
)

_population = functools.lru_cache(maxsize=16)(data.population)


def _disturbance(key, kind: Kind, x, batch_size, anchors, draws, design, replacement) -> Disturbance:
    if isinstance(kind, SequenceNormalizer):
        return snd.sequence_disturbance(kind, x, batch_size, anchors, draws, key=key)
    return snd.disturbance(kind, x, batch_size, anchors, draws, key=key, design=design, replacement=replacement)


def _measurements(found: Disturbance) -> list[Measurement]:
    """SND as estimated, with the paper's estimator, relative, and the two parts of its error."""
    n, ratio = found.anchors, found.biased / found.value if found.value else 1.0
    how = f"{found.design} batches, {'with' if found.replacement else 'without'} replacement, {found.draws:.4g} draws an anchor"
    if not found.replacement:
        how += f", finite-population factor {found.finite_population_factor:.4g}"
    if found.breakdown:
        how += f"; BROKE DOWN: {found.breakdown}"
    parts = {"snd_error_anchors": found.sem_anchors, "snd_error_draws": found.sem_draws}
    return [
        Measurement("snd", Estimate(found.value, found.sem, n), f"{how}, corrected for their number"),
        Measurement("snd_biased", Estimate(found.biased, ratio * found.sem, n), f"{how}, the paper's estimator"),
        Measurement("snd_relative", Estimate(found.relative, found.relative_sem, n), f"{how}, over the output's rms"),
        *(
            Measurement(name, Estimate(part, 0.0, 0), "a standard error, given without its own")
            for name, part in parts.items()
        ),
    ]
