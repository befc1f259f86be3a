"""Phase diagrams: chi_1 and the correlation's fixed point over sigma_w and sigma_b, and chi_1 over normalisers."""

import jax
import numpy as np
from jaxtyping import Array

from ntkcheck import activations, meanfield, normalizers
from ntkcheck.meanfield.correlation_map import correlation_map, fixed_point
from ntkcheck.meanfield.growth import correlation_slope, gradient_growth
from ntkcheck.measurement import Measurement, Series
from ntkcheck.network import make_network
from ntkcheck.regime.settings import critical_sigma_w
from ntkcheck.regime.theory import estimate, stationary


def phase_row(
    _: Array, normalizer: str, activation: str, sigma_b: float, least: float, most: float, places: int
) -> list[Measurement]:
    """chi_1, the slope of the correlation map at 1, and the attracting correlation, along sigma_w at one sigma_b.

    Source: Poole et al. 2016; Schoenholz et al. 2017, Fig. 1; MimicNorm (arXiv 2010.09278), theorem 2 and section 3.1.

    Args:
        normalizer: none, weight_mean, layer_norm, or batch_norm with the population's statistics.
        activation: A name.
        sigma_b: Bias standard deviation.
        least: Smallest sigma_w, weight standard deviation times sqrt(fan-in).
        most: Largest sigma_w.
        places: Number of values of sigma_w, evenly spaced.
    """
    sigma_w = np.linspace(least, most, places)
    points = [fixed_point(correlation_map(activation, normalizer, each, sigma_b)) for each in sigma_w]
    columns = {"chi_1": [p.slope_at_one for p in points], "fixed point": [p.correlation for p in points]}
    return [
        Measurement(quantity, Series(np.array(values), np.zeros(places), 0, sigma_w), "correlation map")
        for quantity, values in columns.items()
    ]


def normalizer_growth(
    key: Array, normalizer: str, activation: str, batch_size: int, features: int, depth: int, samples: int
) -> list[Measurement]:
    """chi_1 of close samples and the growth of the squared gradient per layer, in infinite width, on one Gaussian batch.

    Both at the activation's critical sigma_w without bias, the first and the last fifth of the layers left out.

    Args:
        key: Of the batch and of what is sampled.
        normalizer: A name; whitenings in groups of 16.
        activation: A name.
        batch_size: Samples that are normalised together.
        features: Of the inputs.
        depth: Hidden layers.
        samples: Neurons drawn per layer, where something is sampled.
    """
    phi = activations.get(activation)
    network = make_network(depth, normalizers.get(normalizer), phi, critical_sigma_w(phi))
    batch_key, sampling_key = jax.random.split(key)
    x = np.asarray(jax.random.normal(batch_key, (batch_size, features)))
    options = {"key": sampling_key, "samples": samples, "replicates": 8}
    slope = stationary(correlation_slope(x, network, **options))
    profile = meanfield.profile(x, network, np.eye(batch_size)[None], **options)
    method = f"{samples} neurons a layer" if len(slope) > 1 else "closed form or quadrature"
    return [
        Measurement("chi_1", estimate(slope), method),
        Measurement("gradient growth", estimate(stationary(gradient_growth(profile))), method),
    ]
