import math

import jax
import numpy as np
import pytest

from ntkcheck import activations
from ntkcheck.meanfield import make_network, profile
from ntkcheck.meanfield.batch_norm import batch_norm_nngp
from ntkcheck.meanfield.correlation_map import correlation_map, fixed_point, iterate
from ntkcheck.meanfield.length_map import length_fixed_point
from tests.oracles.correlation_map import SMOOTH, critical_scales, length, next_correlation

NORMALIZERS = ("none", "weight_mean", "layer_norm", "batch_norm")
RHO = np.array([-0.9, -0.3, 0.0, 0.2, 0.7, 0.95])
HE = 2**0.5


def kappa(rho):
    """Normalised arc-cosine kernel of order 1, Cho & Saul 2009."""
    theta = np.arccos(rho)
    return (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / np.pi


def differs(got, expected, tolerance):
    return np.max(np.abs(got - expected)) > tolerance


# The closed forms are a handful of float64 operations on numbers of order 1; arccos loses up to 1e-16 / sqrt(1 - 0.95^2).
CLOSED_FORM = 1e-14


@pytest.mark.parametrize("normalizer", ["none", "layer_norm"])
@pytest.mark.parametrize("sigma_w", [1.0, HE, 2.0])
def test_relu_map_without_centring_is_the_arc_cosine_kernel_at_every_scale(normalizer, sigma_w):
    T = correlation_map("relu", normalizer, sigma_w)
    assert not differs(T(RHO), kappa(RHO), CLOSED_FORM)
    assert differs(T(RHO), (kappa(RHO) - 1 / np.pi) / (1 - 1 / np.pi), CLOSED_FORM)  # power: the centred map


@pytest.mark.parametrize("normalizer", ["weight_mean", "batch_norm"])
@pytest.mark.parametrize("sigma_w", [1.0, HE, 2.0])
def test_relu_map_with_centring_is_the_map_of_mimic_norm(normalizer, sigma_w):
    T, expected = correlation_map("relu", normalizer, sigma_w), (kappa(RHO) - 1 / np.pi) / (1 - 1 / np.pi)
    assert not differs(T(RHO), expected, CLOSED_FORM)
    assert differs(T(RHO), kappa(RHO), CLOSED_FORM)  # power: the map without centring
    found = fixed_point(T)
    assert found.correlation == pytest.approx(0, abs=CLOSED_FORM)
    assert found.slope_at_one == pytest.approx(1 / (1 - 1 / np.pi), rel=CLOSED_FORM)
    # At 0 the ReLU dual has slope E[1_{u>0}]^2 = 1/4 and E[phi^2] - E[phi]^2 = 1/2 - 1/(2 pi).
    assert found.slope == pytest.approx(0.25 / (0.5 - 0.5 / np.pi), rel=CLOSED_FORM)
    assert found.depth_scale == pytest.approx(-1 / np.log(0.5 / (1 - 1 / np.pi)), rel=1e-13)


# tanh's duals are known to 7e-12, the others to 1e-14; dividing by E[phi^2] - s multiplies that by 3 at most (GELU behind
# BatchNorm), and the length fixed point adds its own condition, 1 / (1 - slope of the length map) < 10 here.
SMOOTH_TOLERANCE = 3e-10


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_maps_and_lengths_match_the_iterated_recursions(name, normalizer):
    scales = (1.3, 0.4)
    phi, _ = SMOOTH[name]
    q = length(phi, normalizer, *scales)
    found = length_fixed_point(name, normalizer, *scales)
    assert found.q == pytest.approx(q, rel=SMOOTH_TOLERANCE)
    assert found.growth == 1
    T = correlation_map(name, normalizer, *scales)
    expected = np.array([next_correlation(phi, normalizer, *scales, q, rho) for rho in RHO])
    assert not differs(T(RHO), expected, SMOOTH_TOLERANCE)
    assert differs(correlation_map(name, normalizer, 1.3 * 1.01, 0.4)(RHO), expected, SMOOTH_TOLERANCE) or (
        normalizer == "batch_norm"  # power: one per cent more sigma_w is seen, except where it is divided out
    )


@pytest.mark.parametrize("normalizer", ["none", "batch_norm"])
@pytest.mark.parametrize("name", [*activations.names()])
def test_the_slope_is_the_derivative_of_the_map(name, normalizer):
    T, h = correlation_map(name, normalizer, 1.3, 0.4 if name in ("tanh", "erf") else 0.0), 1e-4
    difference = (T(RHO + h) - T(RHO - h)) / (2 * h)
    # Truncation h^2 T''' / 6: T''' < 40 up to 0.95, for |t| (1 - rho^2)^(-3/2) rho (2/pi) / 0.36 = 55; rounding 1e-16 / h.
    assert not differs(T.slope(RHO), difference, 60 * h**2 / 6)
    assert differs(1.001 * T.slope(RHO), difference, 60 * h**2 / 6)  # power


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("name", [*activations.names()])
def test_the_fixed_point_is_fixed_and_attracts(name, normalizer):
    for sigma_w, sigma_b in ((1.0, 0.0), (1.3, 0.4), (1.2, 2.0)):
        T = correlation_map(name, normalizer, sigma_w, sigma_b)
        found = fixed_point(T)
        assert float(T(1.0)) == pytest.approx(1, abs=CLOSED_FORM)
        assert found.slope <= 1 + 1e-11
        # A root of (1 - T(c)) / (1 - c) = 1, taken to rounding: 1e-15 / (1 - c), and 1 - c > 1e-3 for these scales.
        c = found.correlation
        assert math.isnan(c) or float(T(c)) == pytest.approx(c, abs=1e-12)
        assert math.isnan(c) == bool(np.allclose(T(RHO), RHO, rtol=0, atol=1e-11))
        assert (found.slope_at_one > 1 + 1e-11) == (c < 1)


def test_every_map_takes_one_to_one_and_stays_there_in_chaos():
    for name in ("relu", "leaky_relu", "erf"):
        through = iterate(correlation_map(name, "weight_mean", 1.3), np.array([1.0, 1 - 1e-16]), 200)
        np.testing.assert_array_equal(through[:, 0], 1)
        assert np.all(through <= 1 + 1e-15)


@pytest.mark.parametrize("q", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_the_edge_of_chaos_separates_the_phases(name, q):
    sigma_w, sigma_b = critical_scales(name, q)
    # d chi_1 / dq < 1 and q* is conditioned by 1 / (1 - slope of the length map), 20 at q = 0.05: 7e-12 x 20.
    assert length_fixed_point(name, "none", sigma_w, sigma_b).q == pytest.approx(q, rel=1e-9)
    assert fixed_point(correlation_map(name, "none", sigma_w, sigma_b)).slope_at_one == pytest.approx(1, abs=1e-9)
    ordered, chaotic = (
        fixed_point(correlation_map(name, "none", factor * sigma_w, sigma_b)) for factor in (0.99, 1.01)
    )
    assert ordered.slope_at_one < 1 - 1e-4
    assert ordered.correlation == 1
    assert chaotic.slope_at_one > 1 + 1e-4
    assert chaotic.correlation < 1 - 1e-4


@pytest.mark.parametrize(("name", "critical"), [("tanh", 1.0), ("erf", math.pi**0.5 / 2)])
def test_without_bias_odd_sigmoids_are_critical_where_sigma_w_times_the_slope_at_zero_is_one(name, critical):
    # Schoenholz et al. 2017: the critical line of tanh starts at sigma_w^2 = 1, sigma_b = 0; erf'(0)^2 = 4 / pi.
    below, above = (length_fixed_point(name, "none", factor * critical) for factor in (0.99, 1.01))
    assert below.q == 0
    assert below.growth == pytest.approx(0.99**2, rel=1e-11)
    assert math.isnan(fixed_point(correlation_map(name, "none", 0.99 * critical)).correlation)
    assert above.q > 0
    assert above.growth == 1
    found = fixed_point(correlation_map(name, "none", 1.01 * critical))
    assert found.correlation == 0
    assert 1 + 1e-4 < found.slope_at_one < 1.01**2


@pytest.mark.parametrize(("name", "scales"), [("tanh", (1.5, 0.3)), ("erf", (0.8, 0.3)), ("gelu", (1.2, 0.3))])
def test_correlations_approach_the_fixed_point_at_the_depth_scale(name, scales):
    T = correlation_map(name, "none", *scales)
    found = fixed_point(T)
    through = iterate(T, 0.1, 400)
    distance = np.abs(through - found.correlation)
    layer = int(np.argmax(distance < 1e-6))
    # The ratio of distances is chi (1 + O(distance)), and rounding is 1e-15 / 1e-6.
    ratio = distance[layer + 1] / distance[layer]
    assert ratio == pytest.approx(math.exp(-1 / found.depth_scale), abs=1e-5)
    assert ratio != pytest.approx(math.exp(-2 / found.depth_scale), abs=1e-5)  # power: half the depth scale


def critical_exponent(name, sigma_w, sigma_b):
    distance = 1 - iterate(correlation_map(name, "none", sigma_w, sigma_b), 0.0, 10_000)
    return math.log(distance[10_000] / distance[1_000]) / math.log(10)


def test_relu_at_he_variance_approaches_one_like_depth_to_the_minus_two():
    # 1 - rho' = d - a d^(3/2) + O(d^(5/2)), a = 2 sqrt(2) / (3 pi), so x = d^(-1/2) grows by a/2 + (3 a / 4) / l: from x = 1,
    # x = (a/2)(l + 1.5 log l + C), C < 10, and the exponent between l and 10 l is -2 + 2 (1.5 log l + C) / (l log 10) < -2 + 0.018.
    assert critical_exponent("relu", HE, 0.0) == pytest.approx(-2, abs=0.018)
    # Power: a smooth activation on its critical line has 1 - rho ~ 1 / l.
    assert abs(critical_exponent("erf", *critical_scales("erf", 0.5)) + 2) > 0.9


def test_relu_at_he_variance_approaches_one_with_the_constant_nine_pi_squared_over_two():
    distance = 1 - iterate(correlation_map("relu", "none", HE), 0.0, 20_000)
    # From the expansion above: d^(-1/2) gains (a/2)(1 + 1.5 log(2) / 10^4) per layer between 10^4 and 2 10^4; the next term is
    # O(log l / l^2). Rounding: 20000 x 1e-16 on d = 1e-7, 1e-5 of d^(-1/2).
    gain = (distance[20_000] ** -0.5 - distance[10_000] ** -0.5) / 10_000
    assert gain**-2 == pytest.approx(9 * np.pi**2 / 2, rel=3e-4)
    assert gain**-2 != pytest.approx(9 * np.pi**2 / 2 * 1.001, rel=3e-4)  # power


@pytest.mark.parametrize(
    ("normalizer", "activation", "sigma_w"),
    [("weight_mean", "leaky_relu", HE), ("layer_norm", "gelu", 1.3)],
)
def test_iteration_gives_the_correlations_of_a_deep_network(normalizer, activation, sigma_w):
    x = np.random.default_rng(0).standard_normal((5, 12))
    network = make_network(20, normalizer, activation, sigma_w, 0.0)
    nngp = np.asarray(profile(x, network).replicates.nngp[0])
    scale = np.sqrt(np.diagonal(nngp, axis1=1, axis2=2))
    correlations = nngp / (scale[:, :, None] * scale[:, None, :])
    through = iterate(correlation_map(activation, normalizer, sigma_w), np.clip(correlations[0], -1, 1), 20)
    off_diagonal = ~np.eye(5, dtype=bool)
    # The maps contract away from 1, so 20 layers add up to 20 roundings. The readout sees activations that are not centred.
    compared = slice(0, 20)
    assert not differs(through[compared, off_diagonal], correlations[compared, off_diagonal], 1e-13)
    shifted = iterate(correlation_map(activation, normalizer, sigma_w), np.clip(correlations[0], -1, 1), 21)[1:]
    assert differs(shifted[compared, off_diagonal], correlations[compared, off_diagonal], 1e-13)  # power: one layer on


def mini_batch_correlation(batch, rho):
    """Normalised correlation after BatchNorm and ReLU on a batch in which two samples have correlation rho, all others 0."""
    nngp = np.eye(batch)
    nngp[0, 1] = nngp[1, 0] = rho
    after = np.asarray(jax.jit(batch_norm_nngp)(nngp))
    centred = after - after.mean(0) - after.mean(1)[:, None] + after.mean()
    return centred[0, 1] / centred[0, 0]


@pytest.mark.parametrize("rho", [-0.5, 0.3, 0.8])
def test_the_batch_norm_map_is_the_limit_of_mini_batch_statistics(rho):
    batches = np.array([32, 64, 128])
    T = correlation_map("relu", "batch_norm")
    measured = np.array([mini_batch_correlation(batch, rho) for batch in batches])

    def order(limit):
        return np.polyfit(np.log(batches), np.log(np.abs(measured - limit)), 1)[0]

    # Error a / B + b / B^2 with b / a < 5: the fitted order is off -1 by less than 5 / 32.
    assert order(float(T(rho))) == pytest.approx(-1, abs=5 / 32)
    assert abs(order(float(kappa(rho))) + 1) > 5 / 32  # power: the uncentred map is not the limit


def test_lengths_of_homogeneous_activations_are_the_solution_of_a_linear_map():
    assert length_fixed_point("relu", "none", 1.0, 0.5) == pytest.approx((0.25 / (1 - 0.5), 1), rel=1e-13)
    assert length_fixed_point("relu", "none", 1.0) == (0, 0.5)
    assert length_fixed_point("relu", "none", 2.0) == (math.inf, 2.0)
    assert length_fixed_point("relu", "none", HE, 0.1) == (math.inf, pytest.approx(1, rel=1e-15))
    assert length_fixed_point("relu", "none", HE, start=3.0) == (3.0, 1)
    assert length_fixed_point("relu", "weight_mean", HE).growth == pytest.approx(1 - 1 / np.pi, rel=1e-14)
    assert length_fixed_point("relu", "layer_norm", 1.5, 0.5) == pytest.approx((1.5**2 / 2 + 0.25, 1), rel=1e-14)


def test_growing_lengths_lose_the_bias():
    grown, plain = (correlation_map("relu", "none", 2.0, sigma_b) for sigma_b in (1.0, 0.0))
    np.testing.assert_array_equal(grown(RHO), plain(RHO))


def test_gelu_lengths_depend_on_where_they_start():
    # sigma_w^2 = 3: growth 3/4 at small lengths, 3/2 at large ones, an unstable fixed point between.
    small, large = (length_fixed_point("gelu", "none", 3**0.5, start=start) for start in (0.1, 100.0))
    assert small == (0, pytest.approx(0.75, rel=1e-14))
    assert large.q == math.inf
    assert large.growth == pytest.approx(1.5, rel=1e-3)  # at q = 1e8, 1 / sqrt(q) off its limit


def test_an_activation_of_the_users_own_has_a_map():
    softplus = activations.from_function(jax.nn.softplus, "softplus", degree=64)
    T = correlation_map(softplus, "layer_norm", 1.0, 0.1)
    found = fixed_point(T)
    assert float(T(found.correlation)) == pytest.approx(found.correlation, abs=1e-12)


def test_maps_follow_the_dtype_of_the_correlation():
    T = correlation_map("relu", "weight_mean")
    assert T(np.float32(RHO)).dtype == np.float32
    # float32 keeps 6e-8 of phi_hat, which is divided by 0.34 phi_hat(1).
    assert not differs(np.asarray(T(np.float32(RHO)), np.float64), T(RHO), 1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: correlation_map("relu", "zca"),
            "`normalizer` must be one of none, weight_mean, layer_norm, batch_norm",
        ),
        (lambda: correlation_map("rleu"), "`activation` must be one of .* did you mean 'relu'"),
        (lambda: length_fixed_point("relu", sigma_w=-1.0), "`sigma_w` must be a finite number above 0, got -1.0"),
        (lambda: length_fixed_point("relu", start=0.0), "`start` must be a finite variance above 0, got 0.0"),
        (lambda: correlation_map("gelu", sigma_w=3.0), "`sigma_w` must let lengths settle, got 3.0.*lower `sigma_w`"),
        (lambda: iterate(correlation_map("relu"), 1.5, 3), r"`rho0` must hold correlations in \[-1, 1\], got 1.5"),
        (lambda: iterate(correlation_map("relu"), np.nan, 3), r"`rho0` must hold correlations in \[-1, 1\], got nan"),
        (lambda: iterate(correlation_map("relu"), 0.5, -1), "`depth` must be a number of layers, 0 or more, got -1"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
