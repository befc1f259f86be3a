"""What the laws predict for one cell, where one holds."""

import functools
import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from ntkcheck import normalizers, snd
from ntkcheck.data import Dataset
from ntkcheck.disturbance.normalizer import OF_ONE_SAMPLE
from ntkcheck.measurement import Measurement
from ntkcheck.normalizers.scaled_batch_norm import INITIAL_SCALE
from ntkcheck.snd.batches import finite_population_factor
from ntkcheck.snd.statistics import StatisticsFunction
from ntkcheck.stats import Estimate, mean_estimate

EXACT, FIRST_ORDER, CLOSED_FORM = "law_exact", "law_first_order", "law_closed_form"
# SND over BatchNorm's, to first order, of its relatives at the settings of their papers; of the scaled one at any m.
RELATIVES = {
    "scaled_batch_norm": INITIAL_SCALE,
    "moving_batch_norm": (0.1 / 1.9) ** 0.5,
    "memorized_batch_norm": 5**-0.5,
}
WITH_FIRST_ORDER = ("batch_norm", "zca", "cholesky", "iter_norm")
MOST_FEATURES = 32  # that the delta method takes together: d + d^2 statistics, whose covariance is a matrix
LARGE_BATCH = 10**6  # where first order is read off, to be scaled by m^(-1/2)
ANCHORS, FEW_ANCHORS = 400, 100
SLOW = ("cholesky",)  # its derivative is many small triangular systems: few anchors, and groups by themselves


def predictions(
    population: Dataset, name: str, batch_size: int, group_size: int | None, iterations: int | None, replacement: bool
) -> list[Measurement]:
    """The laws that hold for a normaliser on a population at one batch size; none where there is none.

    `law_exact`, at any m; `law_first_order`, E |e| with e the first-order fluctuation, for m >> g; `law_closed_form`, the claims'
    sqrt(E |e|^2), sqrt(d (g + 5) / (4 m)) for ZCA, above E |e| by about 1 / (3 d). PCA has none: the order and the signs of its
    directions jump.

    Args:
        population: Its samples; the one named gaussian is isotropic.
        name: Of the normaliser.
        batch_size: m.
        group_size: g.
        iterations: Newton steps.
        replacement: Without it, first order is lowered by the finite-population factor.
    """
    if name in OF_ONE_SAMPLE:
        return [Measurement(EXACT, Estimate(0.0, 0.0, 0), "0 by construction: no sample sees another")]
    if name == "iter_norm_paper":  # the same map in exact arithmetic
        name = "iter_norm"
    if name in RELATIVES:
        related = predictions(population, "batch_norm", batch_size, None, None, replacement)
        kept = [m for m in related if name == "scaled_batch_norm" or m.quantity != EXACT]
        method = f"{RELATIVES[name]:.4g} times BatchNorm's: "
        return [Measurement(m.quantity, _scaled(m.estimate, RELATIVES[name]), method + m.method) for m in kept]
    if name not in WITH_FIRST_ORDER:
        return []
    g = group_size or 1
    factor = finite_population_factor(len(population.x), batch_size, replacement)
    found = []
    if population.name == "gaussian":
        found = _isotropic(population.x.shape[1], name, g, iterations, batch_size, replacement)
    if not any(m.quantity == FIRST_ORDER for m in found) and (together := _together(population.x.shape[1], g, name)):
        value, sem, n = _delta(_Samples(population), name, g, together, iterations)
        scale = batch_size**-0.5
        apart = "" if together == population.x.shape[1] else ", as if groups were independent"
        method = f"delta method with the samples' own four moments{apart}, error over {n} anchors"
        found = [Measurement(FIRST_ORDER, Estimate(scale * value, scale * sem, n), method), *found]
    return [m._replace(estimate=_scaled(m.estimate, factor)) for m in found]


def _isotropic(d: int, name: str, g: int, iterations: int | None, m: int, replacement: bool) -> list[Measurement]:
    """Closed forms on N(0, I)."""
    found = []
    if name == "batch_norm" and replacement:
        found.append(
            Measurement(EXACT, Estimate(snd.batch_norm_law(d, m), 0.0, 0), "quadrature, relative error below 1e-8")
        )
    laws = {
        "batch_norm": ("sqrt(3 d / (2 m))", functools.partial(snd.isotropic_zca, d, 1, m)),
        "zca": ("sqrt(d (g + 5) / (4 m))", functools.partial(snd.isotropic_zca, d, g, m)),
        "iter_norm": (
            "linear response of the Newton polynomial",
            functools.partial(snd.isotropic_iter_norm, d, g, iterations or 5, m),
        ),
    }
    if name in laws:
        words, law = laws[name]
        found.append(Measurement(FIRST_ORDER, Estimate(law(mean=True), 0.0, 0), f"E |e|, {words} by quadrature"))
        found.append(Measurement(CLOSED_FORM, Estimate(law(), 0.0, 0), words))
    return found


class _Samples:
    """A population as a key of a cache: its samples compare by what they are."""

    def __init__(self, population: Dataset):
        self.x = population.x
        self.digest = hashlib.sha256(np.ascontiguousarray(population.x).tobytes()).digest()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Samples) and self.digest == other.digest


def _together(d: int, g: int, name: str) -> int | None:
    """How many features the delta method takes together: all, or groups as if they were independent; None where these are large."""
    return next((size for size in ((g,) if name in SLOW else (d, g)) if size <= MOST_FEATURES), None)


@functools.lru_cache(maxsize=256)
def _delta(samples: _Samples, name: str, g: int, together: int, iterations: int | None) -> Estimate:
    """E |e| sqrt(m) to first order, mean over some anchors of the population."""
    chosen = np.random.default_rng(0).permutation(len(samples.x))[: FEW_ANCHORS if name in SLOW else ANCHORS]
    function, moments = _function(name, g, iterations), _moments(samples, together)
    found = snd.first_order(function, moments, jnp.asarray(samples.x[chosen]), LARGE_BATCH)
    return _scaled(mean_estimate(np.asarray(found.value)), LARGE_BATCH**0.5)


@functools.cache
def _function(name: str, g: int, iterations: int | None) -> StatisticsFunction:
    """F of several groups of g features; one object for the same arguments, so that it is compiled for once."""
    of_group = snd.statistics_function(normalizers.get(name, g, iterations or 5))

    def of_groups(x, mean, covariance):
        starts = range(0, len(x), g)
        blocks = jnp.stack([covariance[i : i + g, i : i + g] for i in starts])
        return jnp.ravel(jax.vmap(of_group)(x.reshape(-1, g), mean.reshape(-1, g), blocks))

    return of_groups


@functools.lru_cache(maxsize=4)
def _moments(samples: _Samples, together: int) -> snd.Moments:
    return snd.sample_moments(jnp.asarray(samples.x), together)


def _scaled(estimate, factor: float) -> Estimate:
    return Estimate(factor * estimate.value, factor * estimate.sem, estimate.n)
