"""The checks of Revisiting Batch Normalization against what mathematics demands, and the verdicts that follow."""

import math

import numpy as np
import pytest

from ntkcheck import claims
from ntkcheck.claims import cells, revisiting
from ntkcheck.meanfield.batch_norm_fixed_point import gradient_growth
from tests.claims.made_up import evidence, made_up, verdict, within


@pytest.mark.parametrize("id", ["RB-1", "RB-3"])
def test_the_ledger_names_the_check(id):
    assert claims.load()[id].check == f"ntkcheck.claims.revisiting:{id.lower().replace('-', '_')}"


def largest(m, batches=2000):
    """Mean over Gaussian batches of the largest of m x 64 standardised values, with its standard error, in NumPy."""
    x = np.random.default_rng(0).standard_normal((batches, m, 64))
    y = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    found = np.abs(y).max(axis=(1, 2))
    return found.mean(), found.std(ddof=1) / batches**0.5


def test_the_largest_value_is_bounded_and_the_bound_is_reached():
    found = revisiting.rb_1(evidence(), batches=20)
    assert verdict("RB-1", found) == "qualified"
    # A batch of two is 1 and -1, the bound itself; roundings of 1e-16 and of the far sample's 1e6 in its square, 1e-10.
    assert found["over_bound"].value == pytest.approx(1, abs=1e-9)
    assert found["outlier_over_bound"].value == pytest.approx(1, abs=1e-9)
    assert revisiting._over_bound(np.arange(5.0)[:, None] ** 2) < 0.95  # power: no outlier
    for quantity, m in (("largest_gaussian", 128), ("largest_gaussian_m_8", 8)):
        mean, error = largest(m)
        assert within(found[quantity], mean, bias=4 * error)
        assert not within(found[quantity], largest(2 * m if m == 8 else 8)[0], bias=4 * error)  # power
    assert found["largest_gaussian_m_8"].value < math.sqrt(7)
    assert 3 < found["largest_images"].value < math.sqrt(127)


def test_too_few_images_are_no_evidence(monkeypatch):
    monkeypatch.setattr(revisiting, "BATCH", 129)
    assert revisiting.rb_1(evidence(), batches=2)["largest_images"] is None


def test_gamma_scales_the_gradient_of_one_layer_and_cancels_in_depth():
    found = revisiting.rb_3(evidence(), networks=3, width=64, depth=6)
    assert verdict("RB-3", found) == "qualified"
    # A product more or less in each of the gradient's terms: a few roundings.
    assert found["gamma_scaling"].value < 1e-14
    assert found["sigma_scaling"].value < 1e-13
    assert found["depth_ratio"].value == pytest.approx(1, abs=1e-9)


def test_the_growth_of_gradients_is_that_of_infinite_width():
    record = evidence().obtain(revisiting.backward_growth, gamma=1.0, width=128, depth=8, networks=6, seed=0)
    found = cells.values(record, "backward_growth")
    mean, error = found.mean(), found.std(ddof=1) / len(found) ** 0.5
    # Corrections of O(1 / width), 2 / 128 here.
    assert abs(mean - gradient_growth(32)) < 4 * error + 2 / 128
    assert abs(mean - 1) > 4 * error + 2 / 128  # power: gradients that keep their size


def test_a_gamma_that_stayed_would_be_seen():
    stays = revisiting.rb_3(made_up(backward_growth=lambda gamma, **_: {"backward_growth": 1.5 * gamma**2}))
    assert stays["depth_ratio"].value == pytest.approx(0.01, rel=1e-12)
    assert verdict("RB-3", stays) == "supported"
    assert revisiting.rb_3(made_up())["depth_ratio"] is None
