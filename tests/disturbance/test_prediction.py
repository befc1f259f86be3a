"""Which law is given for which cell, and its value."""

import numpy as np
import pytest

from ntkcheck import snd
from ntkcheck.data import population
from ntkcheck.disturbance.normalizer import NAMES
from ntkcheck.disturbance.prediction import CLOSED_FORM, EXACT, FIRST_ORDER, predictions

GAUSSIAN, T = population("gaussian", 600, 8), population("student_t", 600, 8)


def laws(name, data=GAUSSIAN, m=100, g=None, steps=None, replacement=True):
    return {each.quantity: each.estimate for each in predictions(data, name, m, g, steps, replacement)}


def test_batch_norm_on_independent_gaussians_has_its_exact_law_and_first_order():
    found = laws("batch_norm")
    assert found[EXACT].value == snd.batch_norm_law(8, 100)
    assert found[CLOSED_FORM].value == pytest.approx(np.sqrt(3 * 8 / 200))
    assert found[FIRST_ORDER].value == pytest.approx(snd.isotropic_zca(8, 1, 100, mean=True))
    assert all(each.sem == 0 for each in found.values())


def test_whitening_has_the_claimed_law():
    assert laws("zca", g=4)[CLOSED_FORM].value == pytest.approx(np.sqrt(8 * 9 / 400))
    assert laws("iter_norm", g=4, steps=3)[CLOSED_FORM].value == snd.isotropic_iter_norm(8, 4, 3, 100)
    assert laws("iter_norm_paper", g=4, steps=3) == laws("iter_norm", g=4, steps=3)
    assert EXACT not in laws("zca", g=4)


def test_other_populations_have_the_delta_methods_law_which_falls_like_the_root_of_m():
    found, later = laws("batch_norm", T, 100), laws("batch_norm", T, 400)
    assert set(found) == {FIRST_ORDER}
    assert found[FIRST_ORDER].value == pytest.approx(2 * later[FIRST_ORDER].value, rel=1e-12)
    assert found[FIRST_ORDER].sem > 0
    # Heavy tails: kurtosis 9 in place of 3 adds (9 - 3) / 4 to BatchNorm's 3 / 2 of E e^2 per feature.
    assert found[FIRST_ORDER].value > 1.2 * laws("batch_norm")[FIRST_ORDER].value


def test_laws_of_relatives_are_multiples_of_batch_norms():
    base = laws("batch_norm")
    scaled = laws("scaled_batch_norm")
    assert {name: each.value for name, each in scaled.items()} == pytest.approx(
        {name: 0.1 * each.value for name, each in base.items()}
    )
    moving = laws("moving_batch_norm")
    assert EXACT not in moving
    assert moving[FIRST_ORDER].value == pytest.approx(np.sqrt(0.1 / 1.9) * base[FIRST_ORDER].value)


def test_what_has_no_law_has_none_and_what_sees_one_sample_has_zero():
    for name in ("pca", "mabn", "power_norm", "own"):
        assert laws(name, g=4) == {}
    for name in ("layer_norm", "group_norm"):
        assert name in NAMES
        assert laws(name, g=4)[EXACT].value == 0


def test_large_groups_have_the_closed_form_alone():
    wide = population("gaussian", 400, 64)
    assert FIRST_ORDER in laws("zca", wide, g=64)
    assert laws("zca", population("student_t", 400, 64), g=64) == {}


def test_without_replacement_first_order_is_lowered_and_the_exact_law_is_not_given():
    found = laws("batch_norm", replacement=False)
    assert EXACT not in found
    assert found[FIRST_ORDER].value == pytest.approx(np.sqrt(500 / 599) * laws("batch_norm")[FIRST_ORDER].value)
