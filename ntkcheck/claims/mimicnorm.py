"""The checks of MimicNorm's claims: one small function each, from a run's evidence to the estimates that its tests name."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ntkcheck import kernels, meanfield
from ntkcheck.claims import full_size
from ntkcheck.claims.evidence import Answers, Evidence, exact
from ntkcheck.empirical.depth import forward_through_depth
from ntkcheck.empirical.network import init
from ntkcheck.meanfield.batch_norm_fixed_point import gradient_growth
from ntkcheck.meanfield.correlation_map import correlation_map, iterate
from ntkcheck.measurement import FINITE, INFINITE
from ntkcheck.network import Network, make_network
from ntkcheck.normalizers import RELU_COMPENSATION
from ntkcheck.regime.lemma_1 import centred_moment
from ntkcheck.stats import Estimate, mean_estimate

HE = 2**0.5
CHAOTIC_SLOPE = 1 / (1 - 1 / np.pi)
PAPERS_DEPTH = 50  # supplement, Figs. 1 and 2


def _deep(evidence: Evidence, normalizer: str, quantity: str) -> Estimate | None:
    """What networks as deep as the paper's show; shallower ones show neither the end nor what is beyond depth 20."""
    return evidence.find(normalizer, quantity, FINITE) if evidence.depth >= PAPERS_DEPTH else None


def mn_1(evidence: Evidence) -> Answers:
    """Correlations of a straight network through depth."""
    inputs = kernels.pair_correlations(evidence.batches @ evidence.batches.mT)
    smallest = iterate(correlation_map("relu", "none", HE), inputs.min(), depth=200)
    depth = np.arange(50, 201)
    return {
        "smallest_correlation_depth_200": exact(smallest[-1]),
        "smallest_correlation": _deep(evidence, "none", "smallest_correlation"),
        "approach_exponent": exact(np.polyfit(np.log(depth), np.log(1 - smallest[depth]), 1)[0]),
    }


def mn_2(evidence: Evidence) -> Answers:
    """The slope chi_1 of BatchNorm with population statistics as a random variable of the width, and mini-batches.

    Under the theorem's assumptions neuron i's variance over the population is nu_i = |w_i|^2 / n (1 - 1/pi) / 2, |w_i|^2 ~ chi^2_n.
    """
    rng, groups = evidence.generator("MN-2"), (10, 400)  # of networks
    slopes = {n: _population_slopes(rng, n, math.prod(groups)) for n in (64, 128, 256, 512, 1024)}
    widths = np.array(list(slopes), float)
    grouped = np.array([slope.reshape(groups) for slope in slopes.values()])
    return {
        "slope_population": mean_estimate(_population_slopes(rng, 4096, networks=50)),
        "bias_exponent": _mean_exponent(widths, grouped.mean(2) - CHAOTIC_SLOPE),
        "spread_exponent": _mean_exponent(widths, grouped.std(2, ddof=1)),
        "gradient_growth_mini_batch": exact(gradient_growth(evidence.batch_size)),
    }


def _mean_exponent(widths: Float[np.ndarray, " widths"], by_group: Float[np.ndarray, "widths groups"]) -> Estimate:
    return mean_estimate(np.polyfit(np.log(widths), np.log(by_group), 1)[0])


def _population_slopes(rng, n, networks):
    variances = rng.chisquare(n, (networks, n)) / n * (1 - 1 / np.pi) / 2
    return (1 / (2 * variances)).mean(1)


def mn_3(evidence: Evidence, n_i: int = 8, n_o: int = 64, rho: float = 0.5, draws: int = 20000) -> Answers:
    """Lemma 1 by simulation, n_i much smaller than n_o: random inputs of correlation rho, random weights, both centred."""
    (found,) = centred_moment(evidence.key("MN-3"), n_i, n_o, rho, draws)
    factor = found.estimate if isinstance(found.estimate, Estimate) else None
    return {
        "printed_factor": _scaled(factor, n_o / (n_o - 1)),
        "derived_factor": _scaled(factor, n_i / (n_i - 1)),
    }


def mn_4(evidence: Evidence) -> Answers:
    """Weight mean against the claimed map, and, for the record, its kernel's distance from BatchNorm's."""
    return {
        "kernel_distance": _distance(evidence),
        "slope_infinite": evidence.find("weight_mean", "correlation_slope", INFINITE),
        "slope_finite": evidence.find("weight_mean", "correlation_slope", FINITE, seeds=16),
        "pair_correlation": evidence.find("weight_mean", "pair_correlation", FINITE),
        "gradient_growth": evidence.find("weight_mean", "gradient_growth", FINITE),
    }


def _distance(evidence: Evidence) -> Estimate:
    """Relative Frobenius distance of the normalised kernels of weight mean and BatchNorm, 50 layers deep."""
    mean, norm = (_deep_correlation(evidence.batches[0], name) for name in ("weight_mean", "batch_norm"))
    return exact(float(np.linalg.norm(mean - norm) / np.linalg.norm(norm)))


def _deep_correlation(x, normalizer: str):
    isotropic = np.eye(len(x))[None]  # not needed, but with it the run's own compilation serves
    profile = meanfield.profile(x, make_network(50, normalizer, "relu", HE), isotropic)
    return kernels.correlation(np.asarray(profile.replicates.normalized[0, -1]))


def mn_5(evidence: Evidence) -> Answers:
    """Concentration of correlations, and the law of their spread in the width: one exponent per set of networks."""
    network, widths = make_network(50, "weight_mean", "relu", HE), np.array([75, 150, 300])
    runs = [
        [_settled_correlation(key, evidence, network, int(n)) for n in widths]
        for key in jax.random.split(evidence.key("MN-5"), 12)
    ]
    spread = np.array([[correlation.std() for correlation in by_width] for by_width in runs])
    return {
        "share_batch_norm": _deep(evidence, "batch_norm", "share_near_zero"),
        "share_weight_mean": _deep(evidence, "weight_mean", "share_near_zero"),
        "spread_exponent": mean_estimate(np.polyfit(np.log(widths), np.log(spread).T, 1)[0]),
        "share_width_75": mean_estimate(np.array([(np.abs(by_width[0]) <= 0.2).mean() for by_width in runs])),
        **full_size.pair_correlations(evidence),
    }


def _settled_correlation(key, evidence: Evidence, network: Network, width: int):
    params = init(key, network, evidence.batches.shape[2], width)
    return np.asarray(forward_through_depth(params, jnp.asarray(evidence.batches[:4]), network).correlation)[20:]


def mn_6(evidence: Evidence) -> Answers:
    """What centring does at small fan-in."""
    slopes: Answers = {f"slope_fan_in_{n}": _slope_at_fan_in(evidence, n) for n in (27, 51, 128, 256, 512)}
    return slopes | {"lost_variance_51": exact(1 / 51)}


def _slope_at_fan_in(evidence: Evidence, n: int) -> Estimate:
    """Growth of a close pair's distance over length, across the direction of the sample, in one centred ReLU layer."""
    rng = evidence.generator(f"MN-6/{n}")
    x, dx = rng.standard_normal((2, 2_000_000 // n, n))
    a, da = np.maximum(x, 0), np.where(x > 0, _across(dx, x), 0)
    a, da = (v - v.mean(1, keepdims=True) for v in (a, da))
    growth = _ratio(_across(da, a), a) / _ratio(_across(dx, x), x)
    return mean_estimate(growth / CHAOTIC_SLOPE)


def _across(vector, direction):
    along = (vector * direction).sum(1) / (direction**2).sum(1)
    return vector - along[:, None] * direction


def _ratio(vector, reference):
    return (vector**2).sum(1) / (reference**2).sum(1)


def mn_7(evidence: Evidence) -> Answers:
    """Second moment under weight mean with weights scaled by 1.2, and exactly: a factor on the growth of a homogeneous network."""
    measured = evidence.find("weight_mean", "second_moment_growth", FINITE)
    infinite = 1 - 1 / np.pi  # at He variance
    return {
        "growth_1.2": _scaled(measured, 1.2**2),
        "growth_exact": _scaled(measured, RELU_COMPENSATION**2),
        "drift_50_layers": exact((1.2**2 * infinite) ** 50),
    }


def _scaled(estimate: Estimate | None, factor: float) -> Estimate | None:
    return estimate and Estimate(factor * estimate.value, factor * estimate.sem, estimate.n)
