"""Lemma 1 by simulation, against both factors."""

import jax
import pytest

from ntkcheck.regime import lemma_1


@pytest.mark.parametrize(("fan_in", "fan_out"), [(4, 32), (16, 4)])
def test_the_derived_factor_holds_and_the_printed_one_does_not(fan_in, fan_out):
    ((_, found, _),) = lemma_1.centred_moment(jax.random.key(0), fan_in, fan_out, 0.5, 8000)
    assert found.n == 8000
    assert abs(found.value - (1 - 1 / fan_in)) <= 4 * found.sem
    assert abs(found.value - (1 - 1 / fan_out)) > 4 * found.sem  # power


def test_the_count_of_draws_does_not_depend_on_how_many_fit_at_a_time(monkeypatch):
    monkeypatch.setattr(lemma_1, "AT_ONCE", 4 * 4 * 30)
    ((_, found, _),) = lemma_1.centred_moment(jax.random.key(0), 4, 4, 0.5, 100)  # 30 + 30 + 30 + 10
    assert found.n == 100
