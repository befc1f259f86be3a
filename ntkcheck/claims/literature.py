"""The checks of what the literature adds."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ntkcheck import activations, kernels, meanfield
from ntkcheck.claims.cells import Cell, Sizes, by_set, over_sets, values
from ntkcheck.claims.evidence import Answers, Evidence, exact
from ntkcheck.claims.fluctuation import bootstrapped, ntk_diagonals
from ntkcheck.empirical.network import apply_function, init
from ntkcheck.empirical.ntk import empirical_ntk
from ntkcheck.meanfield.batch_norm_fixed_point import gradient_growth
from ntkcheck.meanfield.correlation_map import correlation_map, fixed_point
from ntkcheck.measurement import FINITE
from ntkcheck.network import make_network
from ntkcheck.normalizers import RELU_COMPENSATION
from ntkcheck.stats import Estimate, mean_estimate

HE = 2**0.5
USUAL = Sizes()
CHAOTIC = ("erf", 3.0, 0.1)  # activation, sigma_w, sigma_b
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


def lt_5(evidence: Evidence, sizes: Sizes = USUAL) -> Answers:
    """The order of the whitenings' SND, on the same anchors and mini-batches."""

    def log_ratio(first: str, second: str, batch_size: int = 64, condition: float = 1.0) -> Estimate | None:
        cells = (Cell(name, batch_size, 16, 16, 5 * (name == "iter_norm"), condition) for name in (first, second))
        return over_sets(lambda a, b: np.log(a / b), *(by_set(evidence, cell, sizes) for cell in cells))

    return {
        "pca_over_zca": log_ratio("pca", "zca"),
        "zca_over_cholesky": log_ratio("zca", "cholesky"),
        "zca_over_newton": log_ratio("zca", "iter_norm"),
        "zca_over_cholesky_large_batch": log_ratio("zca", "cholesky", 1024),
        "zca_over_cholesky_spectrum": log_ratio("zca", "cholesky", 64, 100.0),
    }


def lt_6(evidence: Evidence, networks: int = 1600) -> Answers:
    """Fluctuation of the NTK at finite width by depth and width, in the three phases."""
    phases = {"critical": ("relu", HE, 0.0), "chaos": CHAOTIC, "order": ("relu", 1.0, 1.0)}

    def at(phase: str, *places: tuple[int, int]) -> list[Float[np.ndarray, " networks"] | None]:
        activation, sigma_w, sigma_b = phases[phase]
        scales = {"activation": activation, "sigma_w": sigma_w, "sigma_b": sigma_b, "networks": networks}
        return [
            values(evidence.obtain(ntk_diagonals, width=width, depth=depth, **scales), "ntk_diagonal")
            for width, depth in places
        ]

    rng, depths = evidence.generator("LT-6"), (8, 16, 32)
    return {
        "critical_collapse": bootstrapped(rng, _ratio, at("critical", (64, 32), (32, 16))),
        "critical_exponent": bootstrapped(
            rng, lambda *R: np.polyfit(np.log(depths), np.log(R), 1)[0], at("critical", *((64, L) for L in depths))
        ),
        "chaos_growth": bootstrapped(rng, _ratio, at("chaos", (64, 32), (64, 8))),
        "order_growth": bootstrapped(rng, _ratio, at("order", (64, 32), (64, 8))),
    }


def _ratio(a: float, b: float) -> float:
    return a / b


def lt_7(evidence: Evidence, networks: int = 20) -> Answers:
    """The scaled NTK in chaos and in order, and the rate at which its off-diagonal entries are lost."""
    x = _equal_lengths(evidence.batches[0][:MOST_SAMPLES])

    def off_diagonal(depth: int, activation: str, sigma_w: float, sigma_b=0.0, normalizer="none", x=x) -> float:
        ntk = meanfield.propagate(x, depth, normalizer, activation, sigma_w, sigma_b).ntk
        return float(kernels.normalized_off_diagonal(np.asarray(ntk)))

    settled, chi_1 = _at_fixed_point(CHAOTIC, len(x))
    shallow, deep = (off_diagonal(depth, *CHAOTIC, x=settled) for depth in (10, 20))
    network = make_network(20, "weight_mean", "relu", RELU_COMPENSATION * HE)
    drawn = [
        empirical_ntk(apply_function(network), init(key, network, x.shape[1], 256), jnp.asarray(x), batch_coupled=False)
        for key in jax.random.split(evidence.key("LT-7"), networks)
    ]
    return {
        "chaos_erf": exact(off_diagonal(50, *CHAOTIC)),
        "chaos_weight_mean": exact(off_diagonal(50, "relu", RELU_COMPENSATION * HE, normalizer="weight_mean")),
        "rate_erf": exact(np.log(shallow / deep) / 10 / np.log(chi_1)),
        "order_erf": exact(off_diagonal(100, "erf", 1.0, 0.8)),
        "chaos_finite_width": mean_estimate(kernels.normalized_off_diagonal(np.array(drawn))),
    }


def _at_fixed_point(phase: tuple[str, float, float], count: int) -> tuple[Float[np.ndarray, "count features"], float]:
    """Inputs whose pre-activations have the length and the correlation of the fixed point, and chi_1.

    Real images come near to the correlation only after 30 layers; until then its own approach adds to the rate.
    """
    activation, sigma_w, sigma_b = phase
    T = correlation_map(activation, "none", sigma_w, sigma_b)
    found = fixed_point(T)
    pre_activations = T.variance * ((1 - found.correlation) * np.eye(count) + found.correlation)
    gram = (pre_activations - sigma_b**2) / sigma_w**2
    return np.linalg.cholesky(gram) * count**0.5, found.slope_at_one


def _equal_lengths(x):
    """Inputs on one sphere, as both papers assume: unequal lengths scale the NTK of a positively homogeneous network for ever.

    Centred first, because weight mean centres them and would make their lengths unequal again.
    """
    x = x - x.mean(1, keepdims=True)
    return x * np.sqrt(x.shape[1]) / np.linalg.norm(x, axis=1, keepdims=True)
