"""Claims LT-5, LT-6 and LT-7 against what mathematics demands, and the verdicts that follow."""

import functools
import math

import jax
import numpy as np
import pytest

from ntkcheck import claims, meanfield
from ntkcheck.claims import fluctuation as fluctuation_module
from ntkcheck.claims import literature
from ntkcheck.claims.fluctuation import bootstrapped, fluctuation, ntk_diagonals
from tests.claims.made_up import evidence, made_up, verdict, within


@pytest.mark.parametrize("id", ["LT-5", "LT-6", "LT-7"])
def test_the_ledger_names_the_check(id):
    assert claims.load()[id].check == f"ntkcheck.claims.literature:{id.lower().replace('-', '_')}"


def order(pca=4.0, zca=1.0, cholesky=0.9, iter_norm=0.8):
    snd = {"pca": pca, "zca": zca, "cholesky": cholesky, "iter_norm": iter_norm}
    return made_up(disturbances=lambda normalizer, **_: {"snd": snd[normalizer]})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, "supported"), ({"pca": 1.9}, "refuted"), ({"cholesky": 1.1}, "refuted"), ({"iter_norm": 1.1}, "refuted")],
)
def test_the_order_of_whitenings_is_that_of_the_measurements(changes, expected):
    found = literature.lt_5(order(**changes))
    assert verdict("LT-5", found) == expected
    assert within(found["pca_over_zca"], math.log(changes.get("pca", 4.0)))
    assert within(found["zca_over_cholesky_spectrum"], -math.log(changes.get("cholesky", 0.9)))


def test_the_fluctuation_of_a_lognormal_is_its_variance():
    samples = np.exp(0.5 * np.random.default_rng(0).standard_normal(100_000) + 3)
    # R = sigma^2 = 1/4; error of log E Theta^2: ((e^(4 sigma^2) - 1) / n)^(1/2) = 0.4%.
    assert fluctuation(samples) == pytest.approx(0.25, abs=0.016)


def test_bootstrapped_errors_are_those_of_repetition():
    rng = np.random.default_rng(0)
    draws = np.exp(0.3 * rng.standard_normal((400, 2, 300)))
    scatter = np.std([a - b for a, b in fluctuation(draws)])
    found = bootstrapped(rng, lambda a, b: a - b, list(draws[0]))
    # An error from 300 samples of fourth moments: 20%.
    assert found.sem == pytest.approx(scatter, rel=0.5)
    assert found.value == pytest.approx(np.subtract(*fluctuation(draws[0])))
    assert bootstrapped(rng, lambda a, b: a - b, [draws[0, 0], None]) is None


@functools.cache
def diagonals(width=32, depth=4):
    record = ntk_diagonals(jax.random.key(0), width, depth, "relu", 2**0.5, 0.0, 1000)
    return record[0].estimate.value


def test_the_mean_of_the_ntk_is_that_of_infinite_width():
    # Exactly so for a ReLU network at any width: forward and backward norms are independent, layer by layer.
    found, truth = (
        diagonals(),
        float(np.asarray(meanfield.propagate(np.ones((2, 4)), 4, "none", "relu", 2**0.5).ntk)[0, 0]),
    )
    error = found.std(ddof=1) / len(found) ** 0.5
    assert abs(found.mean() - truth) < 4 * error
    assert abs(found.mean() - truth * 5 / 4) > 4 * error  # power: one layer more


def test_the_ntk_fluctuates_by_depth_over_width():
    # Five times depth over width, less what the sum over layers averages out: 2 to 5 of it (Hanin & Nica 2020, theorem 1).
    assert 2 * 4 / 32 < fluctuation(diagonals()) < 5 * 4 / 32
    assert 1.3 < fluctuation(diagonals()) / fluctuation(diagonals(64)) < 3  # 2, with errors of 10% each


def lognormal(order_grows=False):
    """NTKs with R = depth / width / 5 in chaos and at criticality, and 0.05 in order."""

    def ntk_diagonal(width, depth, sigma_b, activation, **_):
        in_order = activation == "relu" and sigma_b > 0 and not order_grows
        spread = (0.05 if in_order else depth / width / 5) ** 0.5
        z = np.random.default_rng(depth + width).standard_normal(3000)
        return np.exp(spread * z)

    return ntk_diagonal


@pytest.mark.parametrize(("order_grows", "expected"), [(False, "supported"), (True, "refuted")])
def test_growth_in_depth_over_width_decides(monkeypatch, order_grows, expected):
    law = lognormal(order_grows)
    monkeypatch.setattr(fluctuation_module, "RESAMPLES", 300)
    monkeypatch.setattr(literature, "values", lambda found, _: found)
    asked = made_up()
    monkeypatch.setattr(type(asked), "obtain", lambda self, function, **parameters: law(**parameters))
    found = literature.lt_6(asked)
    assert verdict("LT-6", found) == expected
    assert within(found["critical_collapse"], 1)
    assert within(found["critical_exponent"], 1)
    assert within(found["chaos_growth"], 4)
    assert within(found["order_growth"], 4 if order_grows else 1)


def erf_rate(first, last):
    """Fall per layer of the off-diagonal over the diagonal NTK entry, at the fixed point, over log chi_1: two scalar recursions."""
    sigma_w2, sigma_b2 = 9.0, 0.01

    def dual(q, c):
        return 2 / math.pi * math.asin(2 * c / (1 + 2 * q))

    def dual_derivative(q, c):
        return 4 / math.pi / math.sqrt((1 + 2 * q) ** 2 - 4 * c**2)

    q, c = 1.0, 0.5
    for _ in range(500):
        q, c = sigma_w2 * dual(q, q) + sigma_b2, sigma_w2 * dual(q, c) + sigma_b2
    diagonal, off, ratios = q, c, []
    for _ in range(last):
        diagonal = sigma_w2 * dual_derivative(q, q) * diagonal + q
        off = sigma_w2 * dual_derivative(q, c) * off + c
        ratios.append(off / diagonal)
    rate = math.log(ratios[first - 1] / ratios[last - 1]) / (last - first)
    return rate / math.log(sigma_w2 * dual_derivative(q, q))


def test_the_scaled_ntk_is_a_kronecker_delta_in_chaos():
    found = literature.lt_7(evidence(), networks=4)
    assert verdict("LT-7", found) == "supported"
    # 1e-16 of the diagonal's 2.14^20 = 4e6 against an off-diagonal entry of 0.2: 1e-8 of the logarithm at depth 20.
    assert found["rate_erf"].value == pytest.approx(erf_rate(10, 20), abs=1e-6)
    assert found["rate_erf"].value != pytest.approx(erf_rate(1, 5), abs=1e-3)  # power: other depths
    assert abs(found["chaos_erf"].value) < 1e-9
    assert found["order_erf"].value == pytest.approx(1, abs=1e-6)
    assert within(found["chaos_finite_width"], 0, bias=0.02)
