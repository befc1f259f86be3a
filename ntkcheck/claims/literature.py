"""The checks of what the literature adds."""

import numpy as np

from ntkcheck import activations, kernels, meanfield
from ntkcheck.claims.evidence import Answers, Evidence, exact
from ntkcheck.meanfield.batch_norm_fixed_point import gradient_growth
from ntkcheck.meanfield.correlation_map import correlation_map
from ntkcheck.measurement import FINITE
from ntkcheck.normalizers import RELU_COMPENSATION
from ntkcheck.stats import Estimate

HE = 2**0.5
MOST_SAMPLES = 32  # BatchNorm's kernel comes nearer to its fixed point by 1/e in 0.44 B layers, each of cost B^3


def lt_1(evidence: Evidence) -> Answers:
    """Fixed point and gradient growth of BatchNorm."""
    x = evidence.batches[0][:MOST_SAMPLES]
    batch = len(x)
    nngp = np.asarray(meanfield.propagate(x, 1000, "batch_norm").nngp)
    diagonal, off_diagonal = np.diag(nngp), nngp[~np.eye(batch, dtype=bool)]
    expected = 2 * float(activations.get("relu").dual(*np.array([1, 1, -1 / (batch - 1)])))  # J(-1/(B-1))
    rate = gradient_growth(evidence.batch_size)
    measured = evidence.find("batch_norm", "gradient_growth", FINITE)
    return {
        "fixed_point_variance": exact(_furthest(diagonal, 0.5)),
        "fixed_point_correlation": exact(_furthest(2 * off_diagonal, expected) - expected),
        "limit": exact(gradient_growth(1024) * (np.pi - 1) / np.pi),
        "identity_rate": exact(gradient_growth(batch, slope=1.0) - (batch - 2) / (batch - 3)),
        "finite_width_rate": measured and Estimate(measured.value / rate, measured.sem / rate, measured.n),
    }


def _furthest(values, target):
    return values[np.argmax(np.abs(values - target))]


def lt_2(evidence: Evidence) -> Answers:
    """The scaled NTK at depth 100 in order, in chaos and under BatchNorm."""
    x = _equal_lengths(evidence.batches[0][:MOST_SAMPLES])

    def off_diagonal(normalizer: str, sigma_w: float, sigma_b: float = 0.0) -> float:
        ntk = meanfield.propagate(x, 100, normalizer, "relu", sigma_w, sigma_b).ntk
        return float(kernels.normalized_off_diagonal(np.asarray(ntk)))

    return {
        "order": exact(off_diagonal("none", 1.0, 1.0)),
        "chaos": exact(off_diagonal("weight_mean", RELU_COMPENSATION * HE)),
        "batch_norm": exact((len(x) - 1) * off_diagonal("batch_norm", 1.0)),
    }


def lt_4(evidence: Evidence) -> Answers:
    """Condition number of the NTK by depth in the three phases."""
    x = _equal_lengths(evidence.batches[0][:MOST_SAMPLES])

    def condition(depth: int, normalizer: str, activation: str, sigma_w: float, sigma_b: float = 0.0) -> float:
        ntk = meanfield.propagate(x, depth, normalizer, activation, sigma_w, sigma_b).ntk
        return float(kernels.condition_number(np.asarray(ntk)))

    def rate(activation: str, sigma_w: float, sigma_b: float) -> Estimate:
        deep, shallow = (condition(depth, "none", activation, sigma_w, sigma_b) for depth in (35, 15))
        chi_1 = float(correlation_map(activation, "none", sigma_w, sigma_b).slope(1.0))
        return exact(np.log(deep / shallow) / 20 / -np.log(chi_1))

    return {
        "ordered_rate": rate("erf", 1.0, 0.8),
        "critical": exact(condition(1000, "none", "relu", HE) / ((len(x) + 3) / 3)),
        "chaotic": exact(condition(100, "weight_mean", "relu", RELU_COMPENSATION * HE)),
        "ordered_rate_relu": rate("relu", 1.0, 1.0),
    }


def _equal_lengths(x):
    """Inputs on one sphere, as both papers assume: unequal lengths scale the NTK of a positively homogeneous network for ever.

    Centred first, because weight mean centres them and would make their lengths unequal again.
    """
    x = x - x.mean(1, keepdims=True)
    return x * np.sqrt(x.shape[1]) / np.linalg.norm(x, axis=1, keepdims=True)
