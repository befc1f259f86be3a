import mpmath
import numpy as np
import pytest
from mpmath import mpf
from scipy.special import ndtr

from tests.oracles import duals
from tests.oracles.batch_norm import (
    cross_laplace_step,
    cross_sphere_step,
    laplace_step,
    laplace_step_mp,
    monte_carlo_step,
    network,
    network_mp,
    sphere_step,
)
from tests.oracles.batch_norm_mp import to_numpy

# Agreement asked of two deterministic oracles: their quadratures claim 1e-11 or better, rounding leaves 1e-14 times the
# number of operations on an entry (below 1e4). Power everywhere: a change of one part in a million must show.
AGREEMENT = 1e-10
PERTURBATION = 1e-6


def relative(a, b):
    return np.linalg.norm(np.asarray(a) - b) / np.linalg.norm(b)


def random_kernels(batch, features, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, batch, features))
    return x @ x.T / features, y @ y.T / features + 1.0


def assert_same(got, expected, bound=AGREEMENT):
    for a, b in zip(got, expected, strict=True):
        assert relative(a, b) < bound
        assert not relative(a * (1 + PERTURBATION), b) < bound


@pytest.mark.parametrize("alpha", [0.0, 0.01, 1.0, -1.0])
@pytest.mark.parametrize("batch", [4, 5])
def test_cones_and_wedges_give_the_same_kernels(batch, alpha):
    K, Theta = random_kernels(batch, 9, seed=batch)
    cones = sphere_step(K, Theta, alpha, order=None if batch == 4 else 14)
    # The cones' own error estimate: analytic integrand, 40 nodes each way (batch 4) or 14 (batch 5, so 1e-7).
    assert_same(laplace_step(K, Theta, alpha)[:2], cones[:2], AGREEMENT if batch == 4 else 1e-7)
    assert cones.error < (AGREEMENT if batch == 4 else 1e-6)


def test_the_quadrature_error_estimate_bounds_the_error():
    K, Theta = random_kernels(4, 9, seed=1)
    exact = sphere_step(K, Theta, 0.0)
    rough = laplace_step(K, Theta, 0.0, tolerance=1e-3)
    fine = laplace_step(K, Theta, 0.0)
    assert relative(rough.ntk, exact.ntk) <= rough.error + AGREEMENT
    assert fine.error < 1e-10


def test_regression_in_high_precision_agrees_on_near_duplicates_of_deficient_rank():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((5, 3))
    x[1] = x[0] + 1e-5 * rng.standard_normal(3)
    # Depth 1 works on the inputs themselves: no loss from squaring, so the usual bound.
    wedges, regression = network(x, 1, 0.01), network_mp(x, 1, 0.01, digits=11)
    assert_same(wedges, regression)
    # The same from the Gram matrix: rounding moves |x_1 - x_0|^2 by eps, the angle by 1e-16/1e-5, entries by as much.
    K = x @ x.T / 3
    assert_same(laplace_step(K, K, 0.01)[:1], [regression[0]], 1e-9)


def test_regression_in_high_precision_agrees_under_a_large_shift():
    x = np.random.default_rng(6).standard_normal((4, 3)) + 1e6
    # The shift's rounding is in x itself, which both take as exact.
    assert_same(network(x, 1, 0.0, 2**0.5, 0.3), network_mp(x, 1, 0.0, 2**0.5, 0.3, digits=11))


def test_regression_in_high_precision_agrees_with_cones():
    K, Theta = random_kernels(4, 9, seed=8)
    with mpmath.workdps(30):
        regression = laplace_step_mp(mpmath.matrix(K.tolist()), mpmath.matrix(Theta.tolist()), 0.0, digits=11)
    assert_same([to_numpy(regression.nngp), to_numpy(regression.ntk)], sphere_step(K, Theta, 0.0)[:2])
    # It reports the error of the grid twice as coarse; its own is about the square.
    assert 0 < regression.error < 1e-5


@pytest.mark.parametrize("batch", [4, 5, 16, 64])
def test_isotropic_batches_match_their_closed_forms(batch):
    n, variance = batch - 1, 1.7
    G = np.eye(batch) - 1 / batch
    # Sigma = variance G: |v| and v/|v| are independent, E[1/|v|^2] = 1/(variance (n - 2)), E[v v^T/|v|^2] = G/n.
    identity = laplace_step(variance * G, G, 1.0)
    growth = batch * (n - 1) / (n * (n - 2) * variance) * G
    assert_same(identity[:2], [batch / n * G, growth])
    # With the fixed point's variance B/(B-1) that is the published rate (B-2)/(B-3).
    assert relative(laplace_step(batch / n * G, G, 1.0).ntk, (batch - 2) / (batch - 3) * G) < AGREEMENT
    relu = laplace_step(variance * G, G, 0.0)
    angle = np.arccos(np.where(np.eye(batch) == 1, 1.0, -1 / n))
    kappa = (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    ntk = batch / (variance * (n - 2)) * (G * (np.pi - angle) / (2 * np.pi) - kappa / batch)
    assert_same(relu[:2], [kappa, ntk])


def test_low_rank_is_refused():
    x = np.random.default_rng(0).standard_normal((6, 2))
    with pytest.raises(ValueError, match="got rank 2"):
        laplace_step(x @ x.T, np.eye(6), 0.0)


def test_depth_zero_is_refused():
    with pytest.raises(ValueError, match="`depth` must be at least 1, got 0"):
        network(np.eye(5), 0, 0.0)


def test_an_unconverged_quadrature_is_an_error():
    x = np.random.default_rng(1).standard_normal((6, 4)) * np.array([1.0, 1e-2, 1e-4, 1e-6])
    with pytest.raises(RuntimeError, match="did not converge"):
        network(x, 1, 0.0, tolerance=1e-2)
    network(x, 1, 0.0)


def test_network_is_the_composition_of_cone_steps():
    x = np.random.default_rng(2).standard_normal((4, 6))
    sigma_w, sigma_b = 1.3, 0.4
    K = sigma_w**2 * x @ x.T / 6 + sigma_b**2
    Theta = K
    for _ in range(3):
        step = sphere_step(K, Theta, 0.01)
        K = sigma_w**2 * step.nngp + sigma_b**2
        Theta = sigma_w**2 * step.ntk + K
    # Three layers, each growing an error in K by less than 10.
    assert_same(network(x, 3, 0.01, sigma_w, sigma_b), (K, Theta), 1e3 * 1e-11)


def test_equal_inputs_keep_equal_kernels_at_any_depth():
    x = np.random.default_rng(3).standard_normal((6, 8))
    x[4] = x[1]
    for kernel in network(x, 4, 0.0):
        np.testing.assert_allclose(kernel[4], kernel[1], rtol=1e-14)
        np.testing.assert_allclose(kernel[4, 1], kernel[1, 1], rtol=1e-14)
        assert abs(kernel[0, 1] - kernel[1, 1]) > 1e-3


def test_sampling_the_definition_agrees_within_standard_errors():
    # Rank 11: the fourth moment of DF[t] behind the standard errors is finite (rank > 8). 2 x 78 entries, fixed seed.
    K, Theta = random_kernels(12, 24, seed=4)
    sampled = monte_carlo_step(K, Theta, 0.0, samples=200_000, seed=0)
    exact = laplace_step(K, Theta, 0.0)
    z = [
        np.abs(mean - truth) / sem
        for mean, sem, truth in (
            (sampled.nngp, sampled.nngp_sem, exact.nngp),
            (sampled.ntk, sampled.ntk_sem, exact.ntk),
        )
    ]
    assert np.max(z) < 4
    assert np.max(np.abs(sampled.ntk - 1.05 * exact.ntk) / sampled.ntk_sem) > 4
    assert np.max(np.abs(sampled.nngp - 1.05 * exact.nngp) / sampled.nngp_sem) > 4


def joint_kernels(batch, seed):
    K, Theta = random_kernels(2 * batch, 2 * batch + 2, seed)
    return K[:batch, :batch], K[:batch, batch:], K[batch:, batch:], Theta[:batch, batch:]


@pytest.mark.parametrize("alpha", [0.0, -0.3])
def test_cross_batch_cones_and_mixtures_agree(alpha):
    # Both have converged to rounding at these orders (12 kink-free arcs and 40 nodes on each; step 0.1).
    K11, K12, K22, Theta12 = joint_kernels(3, seed=0)
    mixture = cross_laplace_step(K11, K12, K22, Theta12, alpha)
    assert_same(mixture[:2], cross_sphere_step(K11, K12, K22, Theta12, alpha, order=40))


def test_cross_batch_kernels_of_batches_of_four_agree():
    # 10 nodes a direction on cones of two dimensions: measured by refinement only, so the loose bound.
    K11, K12, K22, Theta12 = joint_kernels(4, seed=1)
    mixture = cross_laplace_step(K11, K12, K22, Theta12, 0.0, step=0.14)
    cones = cross_sphere_step(K11, K12, K22, Theta12, 0.0, order=10)
    for a, b in zip(mixture[:2], cones, strict=True):
        assert relative(a, b) < 1e-4
        assert relative(a * 1.001, b) > 1e-4


def test_cross_ntk_is_the_derivative_of_the_cross_nngp():
    K11, K12, K22, Theta12 = joint_kernels(3, seed=2)
    h = 1e-3
    shifted = {
        k: cross_sphere_step(K11, K12 + k * h * Theta12, K22, Theta12, 0.01, order=40)[0] for k in (-2, -1, 1, 2)
    }
    difference = (8 * (shifted[1] - shifted[-1]) - (shifted[2] - shifted[-2])) / (12 * h)
    # Fourth order: h^4/30 times a fifth derivative (below 1e4), plus rounding 1e-14/h.
    assert_same([difference], [cross_laplace_step(K11, K12, K22, Theta12, 0.01).ntk], 1e-9)


def test_a_batch_crossed_with_itself_gives_the_single_batch_kernels():
    K, Theta = random_kernels(6, 12, seed=3)
    single = laplace_step(K, Theta, 0.01)
    # Step 0.1; the two rates meet in a corner whose weight falls with the rank: 5 here. Bound from the grid's squaring.
    crossed = cross_laplace_step(K, K, K, Theta, 0.01)
    assert crossed.error < 1e-4
    assert_same(crossed[:2], single[:2], crossed.error**1.5 + AGREEMENT)


Q1, Q2, K12 = mpf("1.5"), mpf("0.75"), mpf("0.625")
DIGITS = 25
DUAL_BOUND = mpf(10) ** -(DIGITS - 3)


def check_dual(name, product, derivative, q1=Q1, q2=Q2, k12=K12):
    for moment, expected in ((duals.product_moment, product), (duals.derivative_moment, derivative)):
        got = moment(name, q1, q2, k12, dps=DIGITS)
        assert abs(got - expected) < DUAL_BOUND
        assert abs(moment(name, q1, q2, k12 * (1 + mpf("1e-6")), dps=12) - expected) > DUAL_BOUND


def test_erf_dual_matches_williams_closed_form():
    with mpmath.workdps(40):
        a, b = 1 + 2 * Q1, 1 + 2 * Q2
        product = 2 / mpmath.pi * mpmath.asin(2 * K12 / mpmath.sqrt(a * b))
        check_dual("erf", product, 4 / mpmath.pi / mpmath.sqrt(a * b - 4 * K12**2))


@pytest.mark.parametrize(("name", "alpha"), [("relu", 0.0), ("leaky_relu", 0.01), ("identity", 1.0)])
@pytest.mark.parametrize("k12", [K12, -K12])
def test_homogeneous_duals_match_the_arc_cosine_kernels(name, alpha, k12):
    with mpmath.workdps(40):
        c = mpmath.acos(k12 / mpmath.sqrt(Q1 * Q2))
        both = (1 - mpf(alpha)) ** 2 / (2 * mpmath.pi)
        product = mpf(alpha) * k12 + both * mpmath.sqrt(Q1 * Q2) * (mpmath.sin(c) + (mpmath.pi - c) * mpmath.cos(c))
        expected = {0: product, 1: mpf(alpha) + both * (mpmath.pi - c)}
    for order, moment in enumerate((duals.product_moment, duals.derivative_moment)):
        assert abs(moment(name, Q1, Q2, k12, dps=DIGITS) - expected[order]) < DUAL_BOUND
        assert abs(moment(name, Q1, Q2, k12, slope=0.02, dps=DIGITS) - expected[order]) > DUAL_BOUND or alpha != 0.01
    assert abs(duals.mean(name, Q1, dps=DIGITS) - (1 - mpf(alpha)) * mpmath.sqrt(Q1 / (2 * mpmath.pi))) < 1e-14


@pytest.mark.parametrize("name", ["tanh", "gelu"])
def test_smooth_duals_match_gauss_hermite_and_price(name):
    # Nodes a direction n = 240: tanh's pole at d = pi/2 / sqrt(1.5) leaves exp(-2 d sqrt(n)) = 6e-18 times a factor that
    # for tanh^2, a double pole, is of the order 2 pi sqrt(2 n) = 140: 1e-15. Rounding of 240^2 terms: 1e-13 at worst.
    z, weights = np.polynomial.hermite_e.hermegauss(240)
    phi = {"tanh": np.tanh, "gelu": lambda u: u * ndtr(u)}[name]
    rho = float(K12 / mpmath.sqrt(Q1 * Q2))
    u = np.sqrt(float(Q1)) * z
    v = np.sqrt(float(Q2)) * (rho * z[:, None] + np.sqrt(1 - rho**2) * z)
    sums = weights @ (phi(u)[:, None] * phi(v)) @ weights / (2 * np.pi)
    got = float(duals.product_moment(name, Q1, Q2, K12, dps=15))
    assert abs(got - sums) < 1e-12
    assert abs(got * (1 + PERTURBATION) - sums) > 1e-12
    assert abs(float(duals.second_moment(name, Q1, dps=15)) - weights @ phi(u) ** 2 / np.sqrt(2 * np.pi)) < 1e-12
    # Price: d/dk E[phi phi] = E[phi' phi'], central difference of second order and Richardson: error O(h^4).
    h = mpf("1e-3")
    at = {k: duals.product_moment(name, Q1, Q2, K12 + k * h, dps=16) for k in (-2, -1, 1, 2)}
    difference = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)
    slope = duals.derivative_moment(name, Q1, Q2, K12, dps=15)
    assert abs(difference - slope) < 1e-10
    assert abs(difference * (1 + PERTURBATION) - slope) > 1e-10


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "identity", "erf", "tanh", "gelu"])
def test_single_and_pair_moments_are_consistent(name):
    with mpmath.workdps(20):
        square = duals.product_moment(name, Q1, Q1, Q1, dps=20)
        assert abs(duals.second_moment(name, Q1, dps=20) - square) < mpf(10) ** -17
        independent = duals.product_moment(name, Q1, Q2, 0, dps=20)
        means = duals.mean(name, Q1, dps=20) * duals.mean(name, Q2, dps=20)
        assert abs(independent - means) < mpf(10) ** -17
        assert abs(duals.product_moment(name, Q1, Q2, mpf("1e-6"), dps=20) - means) > mpf(10) ** -8


def test_impossible_correlations_are_refused():
    with pytest.raises(ValueError, match="at most sqrt"):
        duals.product_moment("relu", 1.0, 1.0, 1.1)
