"""Every check against what mathematics demands of it, derived here in another way, and the verdicts that follow."""

import functools
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from ntkcheck import claims, data
from ntkcheck.claims import literature, mimicnorm
from ntkcheck.measurement import FINITE, INFINITE, Measurement
from ntkcheck.network import make_network
from ntkcheck.regime import Experiment, Settings
from ntkcheck.regime.cells import normalizer_regime
from ntkcheck.stats import Estimate
from ntkcheck.store import Store, reference
from tests.regime import record

BATCH = 8
CHI = math.pi / (math.pi - 1)
CHECKS = {"MN": mimicnorm, "LT": literature}
OTHERS = ("LT-5", "LT-6", "LT-7")  # have tests of their own
LEDGER = {
    id: claim
    for id, claim in claims.load().items()
    if claim.check
    and claim.check.startswith(tuple(f"{module.__name__}:" for module in CHECKS.values()))
    and id not in OTHERS
}

# What networks of the papers' size have to show if the mathematics is right; standard errors as of ten networks.
TRUTH = {
    ("none", "smallest_correlation"): 0.9,
    ("weight_mean", "correlation_slope"): CHI,
    ("weight_mean", "pair_correlation"): 0.0,
    ("weight_mean", "gradient_growth"): 1.0,
    ("weight_mean", "second_moment_growth"): 1 - 1 / math.pi,
    ("weight_mean", "share_near_zero"): 0.99,
    ("batch_norm", "share_near_zero"): 0.99,
    ("batch_norm", "gradient_growth"): 1.788,  # the rate at B = 8: `backward_rate`
}


def experiment(depth=50, batch=BATCH, seed=0):
    x = data.standardize(data.load("digits").x)[: 2 * batch].reshape(2, batch, -1)
    settings = Settings(depth=depth, batch_size=batch, seed=seed)
    return Experiment(settings, {"none": make_network(depth, "none", "relu", 2**0.5)}, x, "digits")


def evidence(truth, **options):
    """Evidence of made-up networks: one record a normaliser and width, in a store in memory."""
    asked, store = experiment(**options), Store(":memory:")
    chi = [("weight_mean", INFINITE, "correlation_slope", Estimate(CHI, 0.0, 0))] if truth else []
    rows = [(name, FINITE, quantity, Estimate(value, 1e-3, 10)) for (name, quantity), value in truth.items()] + chi
    for (name, side), group in itertools.groupby(sorted(rows, key=lambda row: row[:2]), key=lambda row: row[:2]):
        measurements = [Measurement(quantity, estimate, "made up") for _, _, quantity, estimate in group]
        for others in ({}, {"seeds": 16}):  # MN-4 asks for more networks than the run has
            parameters = asked.cell(name, side) | others
            store.add(record(measurements, function=reference(normalizer_regime), parameters=parameters))
    return claims.Evidence(store, asked, measures=False)


def function(id):
    """The check of a claim."""
    return getattr(CHECKS[id[:2]], id.replace("-", "_").lower())


@functools.cache
def answers(id, with_networks=True):
    return function(id)(evidence(TRUTH if with_networks else {}))


def within(estimate, truth, bias=0.0):
    """Four standard errors, and a bias that the caller states."""
    return abs(estimate.value - truth) <= 4 * estimate.sem + bias


@pytest.mark.parametrize("id", sorted(LEDGER))
def test_a_check_answers_every_test_of_its_claim(id):
    assert {test.name for test in LEDGER[id].tests} <= answers(id).keys()
    assert all(answers(id)[test.name] is not None for test in LEDGER[id].tests)


VERDICTS = {
    "MN-1": "qualified",
    "MN-2": "qualified",
    "MN-3": "refuted",
    "MN-4": "qualified",
    "MN-5": "qualified",
    "MN-6": "qualified",
    "MN-7": "qualified",
    "LT-1": "supported",
    "LT-2": "supported",
    "LT-4": "qualified",
}


def test_the_verdicts_are_those_of_the_mathematics():
    judged = claims.verdicts(LEDGER, {id: answers(id) for id in LEDGER})
    assert {id: verdict.verdict for id, verdict in judged.items()} == VERDICTS


def test_without_networks_the_claims_about_them_are_untested():
    chosen = {id: LEDGER[id] for id in ("MN-7", "LT-1")}
    judged = claims.verdicts(chosen, {id: function(id)(evidence({})) for id in chosen})
    assert {verdict.verdict for verdict in judged.values()} == {"untested"}


# Values that networks would show if a factor were wrong, and the claim that has to fall.
WRONG = {
    "MN-4": {("weight_mean", "correlation_slope"): 1.0},
    "MN-7": {("weight_mean", "second_moment_growth"): 1 - 1 / math.pi**2},
    "LT-1": {("batch_norm", "gradient_growth"): CHI},
}


@pytest.mark.parametrize("id", WRONG)
def test_a_wrong_measurement_refutes(id):
    wrong = function(id)(evidence(TRUTH | WRONG[id]))
    assert claims.verdicts({id: LEDGER[id]}, {id: wrong})[id].verdict == "refuted"


def test_shallow_networks_are_no_evidence_of_what_depth_does():
    shallow = evidence(TRUTH, depth=49)
    assert mimicnorm.mn_1(shallow)["smallest_correlation"] is None
    assert answers("MN-1")["smallest_correlation"] == Estimate(0.9, 1e-3, 10)
    assert answers("MN-5")["share_batch_norm"] == Estimate(0.99, 1e-3, 10)


def relu_correlation(rho):
    """The correlation map of ReLU: (sqrt(1 - rho^2) + (pi - arccos rho) rho) / pi."""
    return (np.sqrt((1 - rho) * (1 + rho)) + (np.pi - np.arccos(rho)) * rho) / np.pi


def test_correlations_of_a_straight_network_approach_one_algebraically():
    x = evidence({}).batches
    a, b = x[:, 0::2], x[:, 1::2]
    rho = np.min(np.sum(a * b, 2) / np.sqrt(np.sum(a**2, 2) * np.sum(b**2, 2)))
    iterates = [rho]
    for _ in range(200):
        iterates.append(relu_correlation(iterates[-1]))
    # 1 - rho is 1e-3, its rounding 1e-16 a layer: 1e-11 of it after 200 layers.
    assert answers("MN-1")["smallest_correlation_depth_200"].value == pytest.approx(iterates[-1], abs=1e-10)
    # 1 - rho = 9 pi^2 / (2 l^2) for large l; the exponent of what came before, 1 / (l + const)^2, is nearer to 0.
    exponent = answers("MN-1")["approach_exponent"].value
    assert -2 < exponent < -1.5
    slope = np.diff(np.log(1 - np.array(iterates)[[50, 200]])) / np.log(200 / 50)
    assert exponent == pytest.approx(slope[0], abs=0.1)  # a least-squares slope lies near the secant's


def test_chi_1_with_population_statistics_is_that_of_inverse_chi_squared_variables():
    # E[n / chi^2_n] = n / (n - 2); mean and deviation of the average of n of them, exactly.
    found, n = answers("MN-2"), 4096
    assert within(found["slope_population"], n / (n - 2) * CHI)
    assert not within(found["slope_population"], CHI)  # power: the limit itself, 10 standard errors away
    # Slopes of log(2 / (n - 2)) and log(n^(1/2) / ((n - 2) (n - 4)^(1/2))): between those at both ends of the fit.
    for quantity, slope in (
        ("bias_exponent", lambda n: -n / (n - 2)),
        ("spread_exponent", lambda n: 0.5 - n / (n - 2) - 0.5 * n / (n - 4)),
    ):
        middle, reach = (slope(64) + slope(1024)) / 2, abs(slope(64) - slope(1024)) / 2
        assert within(found[quantity], middle, bias=reach)
        assert not within(found[quantity], -0.5, bias=reach)  # power: a sum that did not average over neurons


@functools.cache
def backward_rate(batch, draws=40000):
    """Growth of the squared gradient through BatchNorm and ReLU at the fixed point, by simulation: (mean, standard error).

    The fixed point's centred covariance is (1/2 - E[phi phi']) G; a centred isotropic cotangent comes back as a multiple of itself.
    """
    rng, centre = np.random.default_rng(1), np.eye(batch) - 1 / batch
    rho = -1 / (batch - 1)
    v = rng.standard_normal((draws, batch)) @ centre * math.sqrt(0.5 - relu_correlation(rho) / 2)
    norm = np.linalg.norm(v, axis=1)[:, None, None]
    derivative = math.sqrt(batch) * (centre / norm - v[:, :, None] * v[:, None, :] / norm**3) * (v > 0)[:, :, None]
    growth = np.sum((centre @ derivative) ** 2, axis=(1, 2)) / (batch - 1)
    return growth.mean(), growth.std(ddof=1) / math.sqrt(draws)


def test_gradients_under_mini_batch_statistics_grow_by_the_simulated_rate():
    mean, standard_error = backward_rate(BATCH)
    assert abs(answers("MN-2")["gradient_growth_mini_batch"].value - mean) < 4 * standard_error
    assert abs(CHI - mean) > 4 * standard_error  # power: the population's rate


@pytest.mark.parametrize(("n_i", "n_o"), [(8, 64), (3, 5)])
def test_the_factor_of_lemma_1_is_that_of_the_fan_in(n_i, n_o):
    found = mimicnorm.mn_3(evidence({}), n_i, n_o, draws=40000)
    # Centring n_i independent terms leaves (n_i - 1) / n_i of their covariance; the printed factor has n_o.
    truth = (n_i - 1) / n_i / ((n_o - 1) / n_o)
    assert within(found["derived_factor"], 1.0)
    assert within(found["printed_factor"], truth)
    assert not within(found["printed_factor"], 1.0)  # power
    assert not within(found["derived_factor"], 1 / truth)


def test_kernels_of_weight_mean_and_batch_norm_differ_by_what_centring_forces():
    # I against 1 on the diagonal and -1/(B-1) off it: the relative Frobenius distance is B^(-1/2). Weight mean's correlations
    # are 0.73^50 = 2e-7 of what they were, BatchNorm's batch 0.74^50 = 4e-7 away from its fixed point: a few 1e-6 in norm.
    assert answers("MN-4")["kernel_distance"].value == pytest.approx(BATCH**-0.5, abs=1e-5)


def test_the_spread_of_correlations_falls_like_the_root_of_the_width():
    spread = answers("MN-5")["spread_exponent"]
    # Corrections are O(1/width): between 75 and 300, a relative 2 / 75 changes the exponent by 0.02.
    assert within(spread, -0.5, bias=0.02)
    assert not within(spread, -1.0, bias=0.02)  # power
    assert answers("MN-5")["share_width_75"].value < answers("MN-5")["share_weight_mean"].value


def close_pair_growth(n, draws=40000, step=1e-4, centred=True):
    """Growth of 1 - cosine of two close vectors through a (centred) ReLU layer of fan-in n: (mean, standard error)."""
    rng = np.random.default_rng(2)
    x, direction = rng.standard_normal((2, draws, n))

    def angle(a, b):
        unit_a, unit_b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
        return np.sum((unit_a - unit_b) ** 2, axis=1)

    # The kink's share: in `step` of the samples a neuron changes sign, with differences of the same size as elsewhere.
    a, b = np.maximum(x, 0), np.maximum(x + step * direction, 0)
    if centred:
        a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    growth = angle(a, b) / angle(x, x + step * direction)
    return growth.mean(), growth.std(ddof=1) / math.sqrt(draws)


def test_chi_1_at_small_fan_in_is_that_of_a_finite_difference():
    found = answers("MN-6")
    mean, standard_error = close_pair_growth(27)
    apart = found["slope_fan_in_27"].value * CHI - mean
    error = 4 * math.hypot(found["slope_fan_in_27"].sem * CHI, standard_error)
    assert abs(apart) < error + 1e-3  # the step, 1e-4, times the order-10 density of sign changes
    assert abs(apart + mean - close_pair_growth(27, centred=False)[0]) > error + 1e-3  # power: without centring
    # The excess over the limit falls like 1 / fan-in: of the two it is 19 times larger at 27.
    assert (
        found["slope_fan_in_27"].value - 1
        > 10 * (found["slope_fan_in_512"].value - 1) - 40 * found["slope_fan_in_512"].sem
    )
    assert within(found["slope_fan_in_512"], 1.0, bias=0.01)
    assert found["lost_variance_51"] == Estimate(1 / 51, 0.0, 0)


def test_the_factor_of_the_published_code_drifts():
    found = answers("MN-7")
    kept = 1 - 1 / math.pi
    # Products of a few numbers: rounding, 50 times in the power.
    assert found["drift_50_layers"].value == pytest.approx((1.44 * kept) ** 50, rel=1e-13)
    assert found["growth_exact"].value == pytest.approx(1.0, rel=1e-14)
    assert found["growth_1.2"].value == pytest.approx(1.44 * kept, rel=1e-14)
    assert found["growth_1.2"].sem == pytest.approx(1.44e-3, rel=1e-14)


def test_batch_norm_is_at_the_fixed_point_of_the_closed_forms():
    found = answers("LT-1")
    # Deviations shrink by 0.744 a layer: after 1000 layers rounding is left, a few eps in eigenvalues and sums over nodes.
    assert found["fixed_point_variance"].value == pytest.approx(0.5, abs=1e-12)
    assert found["fixed_point_correlation"].value == pytest.approx(0.0, abs=1e-12)
    assert found["identity_rate"].value == pytest.approx(0.0, abs=1e-12)
    # The finite-B rate exceeds its limit by O(1/B): 1.1 / B at B = 1024.
    assert 0 < found["limit"].value - 1 < 2 / 1024
    mean, standard_error = backward_rate(BATCH)
    truth = TRUTH["batch_norm", "gradient_growth"] / mean
    assert found["finite_width_rate"].value == pytest.approx(truth, rel=4 * standard_error / mean)
    assert found["finite_width_rate"].value != pytest.approx(truth * mean / CHI, rel=0.05)  # power: the limit's rate


def test_large_batches_are_cut_for_the_theory_and_not_for_the_rate(monkeypatch):
    monkeypatch.setattr(literature, "MOST_SAMPLES", BATCH)
    found = literature.lt_1(evidence(TRUTH, batch=10))
    assert found["fixed_point_variance"].value == pytest.approx(0.5, abs=1e-12)
    ratio = backward_rate(BATCH)[0] / backward_rate(10)[0]
    error = 4 * (backward_rate(BATCH)[1] + backward_rate(10)[1])
    assert found["finite_width_rate"].value / answers("LT-1")["finite_width_rate"].value == pytest.approx(
        ratio, rel=error
    )


def test_the_ntk_is_constant_in_order_and_diagonal_in_chaos():
    found = answers("LT-2")
    # chi_1 = 1/2 in order, T'(0) = 0.733 in chaos: nothing is left after 100 layers but rounding.
    assert found["order"].value == pytest.approx(1.0, abs=1e-6)
    assert found["chaos"].value == pytest.approx(0.0, abs=1e-9)
    # Under BatchNorm the NTK tends to the image of G: trace (B - 2)/2 and sum (B - 2)/2 - (B - 1)(V_c + V), for any batch.
    rho = -1 / (BATCH - 1)
    v, v_c = relu_correlation(rho) / 2, 0.25 + math.asin(rho) / (2 * math.pi)
    assert found["batch_norm"].value == pytest.approx(-2 * (BATCH - 1) * (v + v_c) / (BATCH - 2), abs=1e-9)


def test_the_condition_number_scales_as_each_phase_demands():
    found = answers("LT-4")
    # erf with sigma_w = 1, sigma_b = 0.8: q = (2/pi) arcsin(2q / (1 + 2q)) + 0.64 and chi_1 = (4/pi) / sqrt(1 + 4q).
    q = 1.0
    for _ in range(200):
        q = 2 / math.pi * math.asin(2 * q / (1 + 2 * q)) + 0.64
    rate = -math.log(4 / math.pi / math.sqrt(1 + 4 * q))
    # Xiao et al.: the condition number grows like chi_1^(-l) / l; what is left at depth 15 is chi_1^15, below 1e-3.
    smooth = 1 - math.log(35 / 15) / (20 * rate)
    assert found["ordered_rate"].value == pytest.approx(smooth, abs=1e-2)
    assert found["ordered_rate"].value != pytest.approx(smooth / 2, abs=1e-2)  # power: half the rate, as with a kink
    assert found["ordered_rate_relu"].value == pytest.approx(0.5, abs=1e-2)
    # O(log l / l) at depth 1000 from the limit, at which the NTK's off-diagonals are 1/4.
    assert found["critical"].value == pytest.approx(1.0, abs=5 * math.log(1000) / 1000)
    assert found["chaotic"].value == pytest.approx(1.0, abs=1e-9)


def test_brightness_does_not_pass_for_a_condition_number():
    # Weight mean centres the inputs: samples of unequal brightness must not come out with unequal lengths.
    asked = experiment()
    shifted = replace(
        evidence({}), experiment=replace(asked, batches=asked.batches + np.linspace(-3, 3, BATCH)[:, None])
    )
    assert literature.lt_4(shifted)["chaotic"].value == pytest.approx(1.0, abs=1e-9)


def test_what_a_check_draws_depends_on_its_seed_and_name_alone():
    drawn = mimicnorm.mn_3(evidence({}), draws=100)
    assert drawn == mimicnorm.mn_3(evidence(TRUTH), draws=100)
    assert drawn != mimicnorm.mn_3(evidence({}, seed=1), draws=100)
    assert evidence({}).key("a") == evidence(TRUTH).key("a") != evidence({}).key("b")


def test_intervals_are_judged_together():
    # Two noisy intervals: each at 1 - 0.01 / 2; half-widths of Student's t with 9 degrees of freedom.
    found = {id: answers(id) for id in ("MN-7", "LT-1")}
    half = [
        outcome.interval.high - outcome.estimate.value
        for ids in (["MN-7"], ["MN-7", "LT-1"])
        for outcome in claims.verdicts({id: LEDGER[id] for id in ids}, found)["MN-7"].outcomes[:1]
    ]
    assert half[0] == pytest.approx(3.690 * 1.44e-3, rel=1e-3)  # t quantile at 1 - 0.01 / 4
    assert half[1] == pytest.approx(3.954 * 1.44e-3, rel=1e-3)  # of three noisy intervals, at 1 - 0.01 / 6
