"""SND as the claims ask for it: a normaliser on a population at one batch size, measured several independent times."""

import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import stats

from ntkcheck import normalizers
from ntkcheck.claims.evidence import Evidence
from ntkcheck.kernels import condition_number
from ntkcheck.measurement import Measurement, Series
from ntkcheck.normalizers import Normalizer
from ntkcheck.regime.settings import Settings, prepare
from ntkcheck.snd.result import correction, summarize
from ntkcheck.snd.shared import shared
from ntkcheck.stats import Estimate, mean_estimate
from ntkcheck.store import Record

SND, SHARE, CONDITION = "snd", "disturbance_share", "condition_number"
# An anchor that was drawn twice into one batch has two equal draws, one in so many; the correction for them is of first order.
FEWEST_BATCHES = 64
IMAGE_OPTIONS = ("data", "seed", "batch_size", "pairs", "inputs")  # those of a run that its images follow from


class Cell(NamedTuple):
    """A normaliser on a Gaussian population at one batch size.

    Attributes:
        normalizer: A name of `normalizers.NAMES`.
        batch_size: m.
        features: d.
        group_size: g, features per group.
        iterations: Newton steps, of IterNorm alone.
        condition: Largest over smallest eigenvalue of the population's covariance, in geometric progression with random
            eigenvectors, new ones for each set; 1 is isotropic.
    """

    normalizer: str
    batch_size: int
    features: int
    group_size: int = 1
    iterations: int = 0
    condition: float = 1.0


class Sizes(NamedTuple):
    """How much is measured of a cell.

    Attributes:
        sets: Independent sets of anchors and batches.
        anchors: Of a set; its batches are drawn from them.
        draws: Batches of an anchor, on average, at least; there are no fewer than `FEWEST_BATCHES` batches.
        replacement: Whether the samples of a batch are drawn independently, which adds about g / (2 anchors) of SND. Otherwise
            they differ, which takes about m / (2 anchors) off, and which batches of few more samples than g need: with one of them
            twice their covariance is singular.
    """

    sets: int = 16
    anchors: int = 2048
    draws: int = 8
    replacement: bool = True


BY_SET = Float[np.ndarray, " sets"]


def by_set(evidence: Evidence, cell: Cell, sizes: Sizes, quantity: str = SND) -> BY_SET | None:
    """SND (or `SHARE`) of a cell for each of the independent sets; None where it is not measured."""
    seed = evidence.experiment.settings.seed
    draws = max(sizes.draws, math.ceil(FEWEST_BATCHES * cell.batch_size / sizes.anchors))
    record = evidence.obtain(disturbances, seed=seed, **cell._asdict(), **sizes._asdict() | {"draws": draws})
    return values(record, quantity)


def conditions(evidence: Evidence, cell: Cell, sets: int) -> BY_SET | None:
    """Condition number of the output of one batch of a cell, for each of the independent sets; None where it is not measured."""
    seed = evidence.experiment.settings.seed
    return values(evidence.obtain(output_conditions, seed=seed, sets=sets, **cell._asdict()), CONDITION)


def values(record: Record | None, quantity: str) -> BY_SET | None:
    """A series of a record as an array."""
    found = record and record.find(quantity)
    return found.value if isinstance(found, Series) else None


def over_sets(function: Callable[..., BY_SET], *measured: BY_SET | None) -> Estimate | None:
    """The mean over sets of a function of what was measured of each; None where something was not."""
    present = [part for part in measured if part is not None]
    return mean_estimate(function(*present)) if len(present) == len(measured) else None


def disturbances(
    _: Array,
    normalizer: str,
    batch_size: int,
    features: int,
    group_size: int,
    iterations: int,
    condition: float,
    seed: int,
    sets: int,
    anchors: int,
    draws: int,
    replacement: bool,
) -> list[Measurement]:
    """SND on a Gaussian population, by set, and the disturbance's share of the output, E |F - E_B F|^2 / E |F|^2.

    The derived key is not used: population and batches follow from `seed` and the sizes, so that all normalisers are measured on
    the same ones, and ratios have less noise than their parts. The arguments are those of `Cell` and `Sizes`.
    """
    kind = normalizers.get(normalizer, group_size, iterations or 5)
    key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(f"{condition}/{features}/{batch_size}".encode()))
    keys = jax.random.split(key, (sets, 2))
    populations = (gaussian_population(key, anchors, features, condition) for key in keys[:, 0])
    pairs = zip(keys[:, 1], populations, strict=True)
    return _by_set([_measure(key, kind, x, batch_size, draws, replacement) for key, x in pairs])


def output_conditions(
    _: Array,
    normalizer: str,
    batch_size: int,
    features: int,
    group_size: int,
    iterations: int,
    condition: float,
    seed: int,
    sets: int,
) -> list[Measurement]:
    """Condition number of the output's covariance over one batch, by set; population and arguments as for `disturbances`.

    Eigenvectors and samples of a set are the same for all normalisers.
    """
    kind = normalizers.get(normalizer, group_size, iterations or 5)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), features), sets)
    outputs = [kind.function(jnp.asarray(gaussian_population(key, batch_size, features, condition))) for key in keys]
    found = np.array([float(condition_number(np.cov(np.asarray(y), rowvar=False))) for y in outputs])
    series = Series(found, np.zeros_like(found), sets, np.arange(sets))
    return [Measurement(CONDITION, series, f"{sets} draws of eigenvectors and samples")]


def image_disturbances(
    _: Array, images: Mapping[str, Any], batch_size: int, neurons: int, sets: int, draws: int
) -> list[Measurement]:
    """BatchNorm's SND on the pre-activations of random layers, a new one for each set, on a run's images.

    Args:
        images: The options of the run that its images follow from, `IMAGE_OPTIONS`.
        batch_size: m.
        neurons: Of the layer.
        sets: Number of independent layers and sets of batches.
        draws: Batches of an image, on average.

    Raises:
        ValueError: If the data are no longer those of the run.
    """
    x = run_images(images)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(images["seed"]), batch_size), (sets, 2))
    kind = normalizers.get("batch_norm")
    return _by_set([_measure(b, kind, random_layer(a, x, neurons), batch_size, draws, True) for a, b in keys])


def gaussian_population(
    key: Array, samples: int, features: int, condition: float
) -> Float[np.ndarray, "samples features"]:
    """Samples of N(0, Q diag(lambda) Q^T), eigenvalues from 1 to 1 / condition in geometric progression, Q random."""
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    z = rng.standard_normal((samples, features))
    if condition == 1:
        return z
    return z * np.geomspace(1, 1 / condition, features) ** 0.5 @ stats.ortho_group.rvs(features, random_state=rng).T


def random_layer(key: Array, x: Float[np.ndarray, "samples features"], neurons: int) -> Float[Array, "samples neurons"]:
    """Pre-activations x W / sqrt(features) of a layer with standard Gaussian weights."""
    return jnp.asarray(x) @ jax.random.normal(key, (x.shape[1], neurons)) / x.shape[1] ** 0.5


def image_options(evidence: Evidence) -> dict[str, Any]:
    """The options that the images of a run follow from."""
    return {name: evidence.experiment.options[name] for name in IMAGE_OPTIONS}


def run_images(images: Mapping[str, Any]) -> Float[np.ndarray, "samples features"]:
    """The images of a run, from the options of `image_options`."""
    experiment = prepare(Settings(normalizers=("none",), **{k: v for k, v in images.items() if k != "inputs"}))
    if experiment.options["inputs"] != images["inputs"]:
        raise ValueError(
            f"`inputs` must be the digest of {experiment.source}, {experiment.options['inputs']}, got {images['inputs']}: it "
            "has changed since; measure it under its new digest."
        )
    return experiment.batches.reshape(-1, experiment.batches.shape[2])


def _measure(
    key: Array, kind: Normalizer, population: Any, batch_size: int, draws: int, replacement: bool
) -> tuple[float, float, float]:
    """SND, its standard error, and the disturbance's share of the output; every sample of the population is an anchor."""
    x = jnp.asarray(population)
    found = shared(key, kind, x, batch_size, len(x), draws, replacement)
    snd = summarize(found, "shared", replacement, 1.0)
    seen = found.draws > 1
    s = found.draws[seen]
    squares = (found.scatter + found.distances**2)[seen] * correction(s, found.repeated) ** 2
    return snd.value, snd.sem, float(np.average(squares, weights=s)) / (found.mean_square * x.shape[1])


def _by_set(found: list[tuple[float, float, float]]) -> list[Measurement]:
    snd, sem, share = np.array(found).T
    sets, method = np.arange(len(snd)), f"{len(snd)} independent sets of anchors and batches"
    return [
        Measurement(SND, Series(snd, sem, len(snd), sets), method),
        Measurement(SHARE, Series(share, np.zeros_like(share), len(snd), sets), method),
    ]
