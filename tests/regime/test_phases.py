"""Phase diagrams against what is known in closed form."""

import math

import jax
import numpy as np
import pytest

from ntkcheck.regime.phases import normalizer_growth, phase_row


def row(normalizer, activation, sigma_b, **grid):
    found = phase_row(None, normalizer, activation, sigma_b, **{"least": 0.5, "most": 2.5, "places": 5} | grid)
    assert all(m.estimate.n == 0 for m in found)
    return {m.quantity: m.estimate for m in found}


def test_relu_is_ordered_below_he_and_critical_above():
    found = row("none", "relu", 0.3)
    sigma_w = found["chi_1"].at
    assert list(sigma_w) == [0.5, 1.0, 1.5, 2.0, 2.5]
    # chi_1 = sigma_w^2 / 2 where lengths settle; where they grow without end the bias is lost and chi_1 = 1. Rounding.
    np.testing.assert_allclose(found["chi_1"].value, np.minimum(sigma_w**2 / 2, 1), atol=1e-9)


def test_weight_mean_has_batch_norm_s_slope_where_biases_do_not_count():
    limit = math.pi / (math.pi - 1)
    np.testing.assert_allclose(row("weight_mean", "relu", 0.0)["chi_1"].value, limit, rtol=1e-9)
    np.testing.assert_allclose(row("batch_norm", "relu", 0.7)["chi_1"].value, limit, rtol=1e-9)
    biased = row("weight_mean", "relu", 0.3)["chi_1"].value
    # Lengths settle while sigma_w^2 (1/2 - 1/(2 pi)) < 1, up to sigma_w = 1.713: there chi_1 = sigma_w^2 / 2.
    np.testing.assert_allclose(biased, [0.125, 0.5, 1.125, limit, limit], rtol=1e-6)


def test_in_order_the_fixed_point_is_one_and_in_chaos_it_is_below():
    found = row("none", "tanh", 0.3)
    chaotic = found["chi_1"].value > 1
    assert chaotic.any()
    assert not chaotic.all()
    assert (found["fixed point"].value[~chaotic] == 1).all()
    assert (found["fixed point"].value[chaotic] < 1).all()


@pytest.mark.parametrize(("normalizer", "chi_1"), [("none", 1.0), ("weight_mean", math.pi / (math.pi - 1))])
def test_growth_over_normalisers_is_that_of_the_closed_form(normalizer, chi_1):
    found = normalizer_growth(jax.random.key(0), normalizer, "relu", 8, 16, 10, 64)
    assert {m.quantity: m.estimate for m in found}["chi_1"].value == pytest.approx(chi_1, rel=1e-9)
    assert {m.quantity: m.estimate for m in found}["gradient growth"].value == pytest.approx(1.0, rel=1e-9)
    assert {m.estimate.n for m in found} == {0}
