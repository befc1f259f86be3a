"""Activations through depth: correlations of inputs, conditioning, largest normalised values, and the normalisers' disturbance."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck import kernels, snd
from ntkcheck.compilation import compiled
from ntkcheck.measurement import Measurement, series
from ntkcheck.models import Model
from ntkcheck.normalizers import Normalizer
from ntkcheck.reference.case import Case, placed_alone
from ntkcheck.reference.images import load_checked
from ntkcheck.reference.watched import INPUT, Site, site_arrays, sites

POPULATION_BATCHES = 2  # whose images the disturbance draws its mini-batches from
DRAWS = 8  # mini-batches that an image is in, on average


def measure(
    _: Array, data: str, inputs: str, seed: int, seeds: int, precision: str, device: str, **case: Any
) -> list[Measurement]:
    """What happens at every normaliser's place of a reference model at initialisation, in the order of computation.

    correlation: cosines of the disjoint pairs of a batch, over positions and channels, before scale and shift.
    condition_number, stable_rank: of the covariance of the channels over samples and positions, in float64 (of values computed in
        float32); largest over smallest eigenvalue (infinite where positions are fewer than channels) and trace over largest.
    largest_value: the largest absolute value; largest_over_bound: the same over (m - 1)^{1/2}, m samples and positions, for
        normalisers of batch statistics (claim RB-1).
    snd, snd_relative: the disturbance of an image, all positions and channels, by the other images of its mini-batch, and over the
        image's root mean square length; mini-batches of the batch's size from two batches of images, upstream layers held fixed.

    The derived key is not used: weights and images follow from `seed`, the same for all normalisers.

    Args:
        data: As `images.load` takes it.
        inputs: Digest of the images.
        seed: Of weights, images and draws.
        seeds: Random networks; their scatter is the standard error.
        precision: Of convolutions and matrix products.
        device: "cpu" or "gpu".
        case: The fields of `Case`.
    """
    size = Case(**case)
    images = load_checked(data, POPULATION_BATCHES * size.batch, size.image, seed, inputs)
    with placed_alone(device):
        batches = jnp.asarray(images.x).reshape(POPULATION_BATCHES, size.batch, *images.x.shape[1:])
        found = [_network(size.network(seed, i), batches, precision, jax.random.key(seed)) for i in range(seeds)]
    names = list(found[0]["site"])
    places = np.arange(1, len(names) + 1)
    method = (
        f"{seeds} networks, {size.batch} images, {precision} precision on {device}; sites {names[0]} to {names[-1]}"
    )
    return [
        _through_depth(quantity, np.array([network[quantity] for network in found]), places, method)
        for quantity in found[0]
        if quantity != "site"
    ]


def _through_depth(quantity: str, samples: np.ndarray, places: np.ndarray, method: str) -> Measurement:
    """The series over the sites where there is such a quantity."""
    known = ~np.isnan(samples).all(0)
    with np.errstate(invalid="ignore"):  # the scatter of infinite condition numbers is none
        return Measurement(quantity, series(samples[:, known], places[known]), method)


def _network(model: Model, batches: Array, precision: str, key: Array) -> dict[str, Any]:
    """Every quantity by site; NaN where a site has none."""
    observed = [_observed(model, x, precision) for x in batches]
    rows = []
    for i, (name, site) in enumerate(sites(model, observed[0]).items()):
        inputs = None
        if site.input is not None and model.couples_batch:
            inputs = np.concatenate([np.asarray(arrays[name + INPUT]) for arrays in observed])
        rows.append({"site": name, **_statistics(site), **_bound(site, model.couples_batch)})
        rows[-1] |= _disturbance(site, inputs, batches.shape[1], jax.random.fold_in(key, i))
    quantities = dict.fromkeys(quantity for row in rows for quantity in row)
    return {quantity: [row.get(quantity, np.nan) for row in rows] for quantity in quantities}


@compiled("precision")
def _observed(model: Model, x: Array, precision: str):
    return site_arrays(model, x, precision)


def _statistics(site: Site) -> dict[str, float]:
    with jax.enable_x64(True):
        of_images, of_channels, largest = jax.tree.map(np.asarray, _moments(site.output))
    spectrum = kernels.eigenvalues(of_channels)
    return {
        "correlation": float(kernels.pair_correlations(of_images).mean()),
        "condition_number": float(kernels.spectrum_condition(spectrum)),
        "stable_rank": float(1 / kernels.spectrum_share(spectrum)),
        "largest_value": float(largest),
    }


@compiled()
def _moments(output: Float[Array, "images *positions channels"]) -> tuple[Array, Array, Array]:
    """Products of the images, and the covariance of the channels over images and positions, in float64; the largest value."""
    output = output.astype(jnp.float64)
    flat, rows = output.reshape(len(output), -1), output.reshape(-1, output.shape[-1])
    centred = rows - rows.mean(axis=0, keepdims=True)
    return flat @ flat.T, centred.T @ centred / (len(rows) - 1), jnp.abs(output).max()


def _bound(site: Site, batch_statistics: bool) -> dict[str, float]:
    if site.norm.function is None or not batch_statistics:
        return {}
    m = site.output.size // site.output.shape[-1]
    return {"largest_over_bound": float(jnp.abs(site.output).max()) / (m - 1) ** 0.5}


def _disturbance(site: Site, inputs: np.ndarray | None, batch: int, key: Array) -> dict[str, float]:
    if inputs is None or site.norm.function is None:
        return {}
    population = inputs.reshape(len(inputs), -1)
    kind = _of_images(site.norm.function, inputs.shape[1:])
    found = snd.disturbance(kind, population, batch, len(population), DRAWS, key=key)
    return {"snd": found.value, "snd_relative": found.relative / population.shape[1] ** 0.5}


@functools.lru_cache(maxsize=256)
def _of_images(function: Callable[[Array], Array], shape: tuple[int, ...]) -> Normalizer:
    """A normaliser of whole images as samples; the same object for the same arguments, so that it is compiled for once."""

    def normalize(x: Float[Array, "batch features"]) -> Float[Array, "batch features"]:
        return function(x.reshape(-1, *shape)).reshape(x.shape)

    return Normalizer("site", normalize, None)
