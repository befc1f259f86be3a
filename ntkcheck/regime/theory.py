"""The regime's quantities in infinite width, on the same mini-batches as the networks of finite width."""

import math

import numpy as np
from jaxtyping import Float

from ntkcheck import kernels, meanfield
from ntkcheck.meanfield.correlation_map import correlation_map, fixed_point
from ntkcheck.meanfield.growth import correlation_slope, gradient_growth, second_moment_growth
from ntkcheck.meanfield.length_map import length_fixed_point
from ntkcheck.measurement import Measurement, series, summarize
from ntkcheck.network import Network
from ntkcheck.normalizers import batch_norm
from ntkcheck.regime.settings import Experiment
from ntkcheck.stats import Estimate

NEAR_ZERO = 0.2  # MimicNorm's supplement, Fig. 2: correlations "concentrate in [-0.2, 0.2]"
SETTLED = 20  # beyond this depth


@np.errstate(divide="ignore", invalid="ignore")  # what breaks down is recorded as such
def measure(experiment: Experiment, name: str) -> list[Measurement]:
    """Every quantity of one normaliser in infinite width, at the end and through depth.

    Closed forms and quadrature use all mini-batches, sampled theory the first one only. The NTK is that of the first batch.
    """
    network = experiment.networks[name]
    options = {"key": experiment.key("theory", name), "samples": experiment.settings.samples}
    isotropic = np.eye(experiment.settings.batch_size)[None]
    first = meanfield.profile(experiment.batches[0], network, isotropic, **options)
    others = [] if _is_sampled(first) else experiment.batches[1:]
    profiles = [first, *(meanfield.profile(batch, network, isotropic, **options) for batch in others)]
    normalized = [kernels.pair_correlations(np.asarray(p.replicates.normalized)) for p in profiles]
    correlation = np.concatenate(normalized, axis=2)[:, :, : experiment.settings.pairs]
    ntk = np.asarray(first.replicates.tangents[:, :, 0])
    gradient = gradient_growth(first)
    by_replicate = {
        "correlation_slope": stationary(correlation_slope(experiment.batches[0], network, **options)),
        "pair_correlation": correlation[:, -1].mean(1),
        "share_near_zero": share_near_zero(correlation[:, settled(experiment)]),
        "gradient_growth": stationary(gradient),
        "second_moment_growth": stationary(second_moment_growth(first)),
        **{quantity: statistic(ntk[:, -1]) for quantity, statistic in NTK_STATISTICS.items()},
    }
    method = _method(first, experiment, name)
    depth = np.arange(1, network.depth + 1)
    through_depth = {
        "correlation_through_depth": series(correlation.mean(2), depth),
        "ntk_off_diagonal_through_depth": series(kernels.normalized_off_diagonal(ntk), np.arange(network.depth + 1)),
        "gradient_through_depth": series(gradient, depth),
    }
    estimates = {quantity: estimate(values) for quantity, values in by_replicate.items()} | through_depth
    return [*(Measurement(*found, method) for found in estimates.items()), *_fixed_point(experiment, name)]


NTK_STATISTICS = {
    "ntk_off_diagonal": kernels.normalized_off_diagonal,
    "ntk_condition": kernels.condition_number,
    "ntk_largest_share": kernels.largest_share,
}


def share_near_zero(correlation: Float[np.ndarray, "samples layers pairs"]) -> Float[np.ndarray, " samples"]:
    """Share of the correlations within +-0.2; NaN where one is."""
    share = (np.abs(correlation) <= NEAR_ZERO).mean((1, 2))
    return np.where(np.isnan(correlation).any((1, 2)), np.nan, share)


def stationary(growth: Float[np.ndarray, "*samples layers"]) -> Float[np.ndarray, "*samples"]:
    """Mean growth per layer, the first and the last fifth of the layers left out: there input and readout still show."""
    layers = growth.shape[-1]
    return growth[..., layers // 5 : layers - layers // 5].mean(-1)


def settled(experiment: Experiment) -> slice:
    """Layers beyond depth 20, or the last half of a network that is not much deeper."""
    return slice(min(SETTLED, experiment.settings.depth // 2), None)


def estimate(replicates: Float[np.ndarray, " replicates"]) -> Estimate:
    """The mean over independent samples with its standard error; a single one is a value without sampling noise."""
    return Estimate(float(replicates[0]), 0.0, 0) if len(replicates) == 1 else summarize(replicates)


def _is_sampled(profile: meanfield.Sampled) -> bool:
    return len(profile.replicates.nngp) > 1


def _method(sampled, experiment, name):
    normalizer, activation = experiment.networks[name].normalizer, experiment.networks[name].activation
    if _is_sampled(sampled):
        index, count = sampled.tail
        heavy = (
            "; TAIL INDEX BELOW 2: infinite variance, error bars not valid" if index * (1 + 2 / count**0.5) < 2 else ""
        )
        return (
            f"tangent Monte Carlo, {experiment.settings.samples} neurons a layer in {len(sampled.replicates.nngp)} independent "
            f"propagations, tail index {index:.1f}{heavy}"
        )
    exact = normalizer.function is batch_norm
    return (
        "quadrature, relative error below 1e-8" if exact else f"closed form ({activation.name} dual), float64 rounding"
    )


def _fixed_point(experiment: Experiment, name: str) -> list[Measurement]:
    """The correlation's fixed point, where there is one.

    That of the correlation map where every input is normalised alone and lengths settle; -1/(B - 1) where batch statistics
    force it. None for linear networks, which keep every correlation.
    """
    network, batch = experiment.networks[name], experiment.settings.batch_size
    if network.normalizer.function is batch_norm and network.activation.slope is not None:
        value, method = -1 / (batch - 1), "closed form: centred over a batch of exchangeable samples"
    elif name in ("none", "weight_mean", "layer_norm") and _lengths_settle(network):
        point = fixed_point(correlation_map(network.activation, name, network.sigma_w, network.sigma_b))
        value, method = point.correlation, "fixed point of the correlation map"
    else:
        return []
    return [] if math.isnan(value) else [Measurement("fixed_point", Estimate(value, 0.0, 0), method)]


def _lengths_settle(network: Network) -> bool:
    """Whether the variance has a limit, or, for positively homogeneous activations, does not matter."""
    normalizer = network.normalizer.name
    q = length_fixed_point(network.activation, normalizer, network.sigma_w, network.sigma_b).q
    return network.activation.slope is not None or 0 < q < math.inf
