"""The checks of IterNorm's claims against what mathematics demands, and the verdicts that follow."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck import claims
from ntkcheck.claims import cost, iternorm, trade_off
from ntkcheck.claims.published_iter_norm import backward, float32_errors, iteration_errors, newton_iterates
from tests.claims.made_up import SETS, evidence, made_up, verdict, within

CHECKED = [f"IN-{i}" for i in (1, 2, 3, 4, 5, 6, 7, 8, 10)]


def orthogonal(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def newton(s, iterations):
    """p <- (3 p - p^3 s) / 2, eigenvalue by eigenvalue."""
    p = np.ones_like(s)
    for _ in range(iterations):
        p = (3 * p - p**3 * s) / 2
    return p


@pytest.mark.parametrize("id", CHECKED)
def test_the_ledger_names_the_check(id):
    assert claims.load()[id].check == f"ntkcheck.claims.iternorm:{id.lower().replace('-', '_')}"


def test_the_coupled_iteration_converges_and_the_published_one_diverges_in_float32():
    found = iternorm.in_1(evidence(), draws=3)
    assert verdict("IN-1", found) == "qualified"
    # Rounding of 16 terms, 2^-53, times p up to (tr / lambda_min)^(1/2) = 19 squared.
    assert found["inverse_root_error"].value < 1e-12
    assert found["eigenvalue_error"].value < 1e-12
    assert found["stretching_order"].value == pytest.approx(1, abs=1e-12)
    assert 5 / 40 < found["stable_share_float32"].value < 15 / 40  # it has converged by T = 9 to 11


def test_the_published_form_is_stable_where_the_condition_number_is_small():
    # Below 2.4 rounding errors do not grow: 16 roundings of 6e-8 a step, 40 steps.
    eigenvalues = np.geomspace(1, 0.5, 16)
    assert np.max(float32_errors(eigenvalues / eigenvalues.sum(), orthogonal(16), 40)) < 40 * 16 * 6e-8


def test_errors_are_seen_where_there_are_some():
    # Power: p grows by 3/2 a step, to 3325 in 20: too few for eigenvalues of 3e-9.
    eigenvalues = np.geomspace(1, 0.01, 16)
    basis = orthogonal(16)
    errors = iteration_errors(eigenvalues / eigenvalues.sum() / 1e6, basis)
    assert errors["inverse_root_error"] > 1e-3
    single = float32_errors(eigenvalues / eigenvalues.sum(), basis, 40)
    assert np.isinf(single[-1])


def test_the_published_gradient_is_that_of_finite_differences():
    rng, iterations, step = np.random.default_rng(0), 3, 1e-5
    x = rng.standard_normal((12, 4))
    cotangent, direction = rng.standard_normal((2, 12, 4))

    def loss(x):
        centred = x - x.mean(axis=0)
        sigma = centred.T @ centred / len(x)
        values, vectors = np.linalg.eigh(sigma / np.trace(sigma))
        root = (vectors * newton(values, iterations)) @ vectors.T
        return np.sum(cotangent * (centred @ root)) / np.trace(sigma) ** 0.5

    difference = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
    along = np.sum(backward(x, cotangent, iterations) * direction)
    # step^2 times a third derivative of order 10, and rounding over the step: 1e-9.
    assert along == pytest.approx(difference, abs=1e-8)
    assert np.sum(backward(x, cotangent, iterations + 1) * direction) != pytest.approx(difference, abs=1e-3)  # power


def test_the_published_backward_pass_is_the_gradient():
    found = iternorm.in_10(evidence(), draws=1)
    assert verdict("IN-10", found) == "supported"
    assert found["gradient_difference"].value < 1e-13  # sums of 64 terms at a condition number of 10, amplified little
    assert 1e-8 < found["gradient_difference_float32"].value < 1e-5
    assert [len(newton_iterates(np.eye(2), T)) for T in (1, 3)] == [2, 4]


def law(exponent=0.5, per_group=4.0, share=0.1):
    """SND = (d (g + 5) / (per_group m))^exponent of every normaliser, and the share of disturbance."""

    def disturbances(features, group_size, batch_size, **_):
        return {
            "snd": (features * (group_size + 5) / (per_group * batch_size)) ** exponent,
            "disturbance_share": share,
        }

    return disturbances


def image_law(exponent):
    return lambda batch_size, **_: {"snd": batch_size**-exponent}


def test_slopes_in_the_batch_size_are_those_of_the_measurements():
    found = iternorm.in_3(made_up(disturbances=law(), image_disturbances=image_law(0.5)))
    assert all(within(estimate, -0.5) and estimate.n == SETS for estimate in found.values())
    assert verdict("IN-3", found) == "supported"


@pytest.mark.parametrize(("exponents", "expected"), [((0.25, 0.5), "refuted"), ((0.5, 0.25), "qualified")])
def test_a_wrong_slope_decides(exponents, expected):
    laws = {"disturbances": law(exponents[0]), "image_disturbances": image_law(exponents[1])}
    assert verdict("IN-3", iternorm.in_3(made_up(**laws))) == expected


def test_snd_by_features_and_groups_is_compared_with_the_law():
    found = iternorm.in_4(made_up(disturbances=law()))
    assert all(within(found[f"law_g_{g}"], 1) for g in ("1", "16", "64", "64_small_batch"))
    assert within(found["exponent_batch_norm"], 0.5)
    d = np.array([16, 32, 64])
    assert within(found["exponent_zca"], np.polyfit(np.log(d), np.log(d * (d + 5)) / 2, 1)[0])
    assert within(found["group_ratio"], (21 / 69) ** 0.5)
    assert verdict("IN-4", found) == "supported"
    # Power: 4 m against 3 m is 15%.
    assert verdict("IN-4", iternorm.in_4(made_up(disturbances=law(per_group=3.0)))) == "refuted"


def by_iterations(growth=1.3, zca=4.0, shares=(0.1, 0.6)):
    def disturbances(normalizer, iterations, **_):
        share = shares[normalizer == "zca"]
        return {"snd": growth**iterations if iterations else zca, "disturbance_share": share}

    return disturbances


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        (by_iterations(), "supported"),
        (by_iterations(zca=3.0), "refuted"),  # below 1.3^5 = 3.7
        (by_iterations(growth=0.9), "refuted"),
        (by_iterations(shares=(0.6, 0.6)), "refuted"),
        (by_iterations(shares=(0.1, 0.4)), "refuted"),
    ],
)
def test_iter_norm_is_compared_with_whitening(monkeypatch, law, expected):
    monkeypatch.setattr(iternorm.snd, "isotropic_iter_norm", lambda *_, **__: law("iter_norm", 5)["snd"])
    found = iternorm.in_5(made_up(disturbances=law))
    assert verdict("IN-5", found) == expected
    assert within(found["linear_response_T_5"], 1)
    assert found["growth_with_T"].value == pytest.approx(
        law("iter_norm", 2)["snd"] / law("iter_norm", 1)["snd"], rel=0.01
    )


def test_conditioning_is_that_of_the_scalar_recursion():
    found = iternorm.in_6(evidence(), draws=4, samples=4096)
    s = np.geomspace(1, 0.01, 16)
    s /= s.sum()
    expected, fewer = (np.ptp(np.log(s * newton(s, T) ** 2)) for T in (5, 4))
    # Sampled eigenvalues are spread by 2 (16 / 4096)^(1/2) = 12% more; p_5 flattens the large ones, the smallest stay 12% off.
    assert math.log(found["condition_T_5"].value) == pytest.approx(expected, abs=0.12)
    assert abs(math.log(found["condition_T_5"].value) - fewer) > 0.12  # power: one step fewer
    assert found["condition_ratio_spectrum"].value < 0.3
    assert verdict("IN-6", found) == "qualified"


def test_conditioning_on_images_is_that_of_numpy():
    h = np.random.default_rng(0).standard_normal((200, 32)) @ orthogonal(32) * np.geomspace(1, 0.1, 32)
    centred = h - h.mean(axis=0)
    conditions, outputs = [], []
    for block in (centred[:, :16], centred[:, 16:]):
        sigma = block.T @ block / len(h)
        values, vectors = np.linalg.eigh(sigma / np.trace(sigma))
        out = values * newton(values, 5) ** 2
        correlations = np.linalg.eigvalsh(np.corrcoef(block, rowvar=False))
        conditions.append(out.max() / out.min() / (correlations.max() / correlations.min()))
        outputs.append(block @ (vectors * newton(values, 5)) @ vectors.T / np.trace(sigma) ** 0.5)
    spectra = [np.linalg.eigvalsh(np.cov(y, rowvar=False)) for y in (np.hstack(outputs), centred / centred.std(axis=0))]
    rank = (spectra[0].sum() / spectra[0].max()) / (spectra[1].sum() / spectra[1].max())
    # Float64 through condition numbers of 1e3.
    assert iternorm._image_ratios(jnp.asarray(h)) == pytest.approx((np.mean(conditions), rank), rel=1e-9)


def setting(condition, snd, noise=0.01, normalizer="zca", seed=0):
    spread = np.exp(noise * np.random.default_rng(seed).standard_normal((2, 16)))
    return trade_off.Setting(normalizer, condition * spread[0], snd * spread[1])


def test_a_setting_dominates_where_it_is_better_in_both_beyond_noise():
    base = setting(10, 1)
    assert trade_off.dominates(setting(9, 0.9, seed=1), base)
    assert not trade_off.dominates(setting(9, 1.1, seed=1), base)
    assert not trade_off.dominates(setting(9.99, 0.999, seed=1), base)  # 0.1% of a noise of 0.35%
    assert not trade_off.dominates(base, base)
    # Condition numbers that differ by rounding alone are the same.
    assert not trade_off.dominates(setting(1, 1, noise=0), setting(1 + 1e-13, 2, noise=0))
    assert trade_off.dominated([base, setting(1, 1)], [setting(9, 0.9, seed=1)]) == [base]


def trade(own=1.0):
    """A front condition x SND = const, on which IterNorm lies with a factor `own` on its SND."""

    def output_conditions(group_size, iterations, **_):
        return {"condition_number": 1000 / group_size**0.5 / (iterations or 4)}

    def disturbances(normalizer, group_size, iterations, **_):
        factor = own if normalizer == "iter_norm" else 1.0
        return {"snd": factor * group_size**0.5 * (iterations or 4)}

    return {"output_conditions": output_conditions, "disturbances": disturbances}


def test_the_trade_off_is_judged_on_the_front():
    better, worse = (iternorm.in_7(made_up(**trade(own))) for own in (0.5, 2.0))
    assert within(better["snd_ratio_at_equal_condition"], 0.5)
    assert within(worse["snd_ratio_at_equal_condition"], 2.0)
    # On a front of its own: all 9 settings, and BatchNorm, whose SND is below all of them.
    assert (better["dominated_share"].value, better["front_share"].value) == (0, 0.9)
    assert verdict("IN-7", better) == "supported"
    assert worse["dominated_share"].value > 0
    assert verdict("IN-7", worse) == "refuted"
    assert iternorm.in_7(made_up()) == {}


def test_conditions_beyond_the_settings_are_not_extrapolated():
    full = [setting(c, 1 / c) for c in (100, 10, 2)]
    assert iternorm._at_equal_condition(full, setting(1.5, 1)) is None
    assert iternorm._at_equal_condition(full, setting(200, 1)) is None
    assert within(iternorm._at_equal_condition(full, setting(5, 1)), 0.2)


def test_time_ratios_are_those_of_the_seconds():
    seconds = {"iter_norm": 1.0, "zca": 5.0, "convolution": 2.0}
    found = iternorm.in_8(made_up(forward_times=lambda **_: seconds))
    assert all(within(found[f"over_convolution_{d}"], 0.5) for d in (64, 256, 512))
    assert all(within(found[f"eigh_over_iter_norm_{d}"], 5) for d in (64, 256, 512))
    assert verdict("IN-8", found) == "supported"
    slow = iternorm.in_8(made_up(forward_times=lambda **_: seconds | {"iter_norm": 5.0}))
    assert verdict("IN-8", slow) == "refuted"


def test_what_is_timed_computes_what_it_is_called():
    calls = cost._calls(jax.random.key(0), 8, jax.devices("cpu")[0])
    outputs = {name: np.asarray(call()) for name, call in calls.items()}
    assert all(y.dtype == np.float32 for y in outputs.values())
    # Whitened: the covariance of 4096 samples to float32's rounding; of 8 Gaussian features five steps are enough for 1%.
    for name, error in (("zca", 1e-4), ("iter_norm", 1e-2)):
        np.testing.assert_allclose(np.cov(outputs[name].T, bias=True), np.eye(8), atol=error)
    images, kernel = calls["convolution"].args
    padded = np.pad(np.asarray(images), ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = np.einsum("hwc,hwcd->d", padded[3, 2:5, 4:7], np.asarray(kernel))
    np.testing.assert_allclose(
        outputs["convolution"][3, 2, 4], expected, atol=1e-4
    )  # 72 products of order 1 in float32
    found = cost.forward_times(jax.random.key(0), 8, 3, 2, "cpu")
    assert [m.quantity for m in found] == ["iter_norm", "zca", "convolution"]
    assert all(m.estimate.n == 3 and np.all(m.estimate.value > 0) for m in found)


def test_the_estimators_bias_is_told():
    found = iternorm.in_2(evidence(), anchors=20, draws=4000)
    assert within(found["bias_s_5"], 0.8**0.5, bias=0.002)
    assert found["corrected_s_5"].value == pytest.approx(found["bias_s_5"].value * 1.25**0.5, rel=1e-12)
    assert verdict("IN-2", found) == "qualified"
    assert set(iternorm.in_2(made_up()).values()) == {None}
