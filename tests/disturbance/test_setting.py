"""One setting by the names in its parameters, and a population as one batch."""

import jax
import numpy as np
import pytest

from ntkcheck import snd
from ntkcheck.data import population
from ntkcheck.disturbance.setting import setting_disturbance
from ntkcheck.disturbance.whole import whole_conditioning

SIZES = {"features": 4, "group_size": None, "iterations": None, "samples": 2000, "seed": 0}
SPECTRUM = population("spectrum", 500, 4).x


def measured(**changes):
    cell = {"population": "gaussian", "normalizer": "batch_norm", "batch_size": 16, "draws": 8, **SIZES, **changes}
    return {found.quantity: found.estimate for found in setting_disturbance(jax.random.key(1), **cell)}


def test_batch_norm_on_a_gaussian_population_has_its_exact_law():
    found = measured()
    value, sem, _ = found["snd"]
    # The law is that of N(0, I); 2000 samples are drawn on with replacement, each a batch's own one in 2000 times more: 1 / 4000.
    assert abs(value - found["law_exact"].value) <= 4 * sem + value / 4000
    assert found["law_exact"].value == pytest.approx(snd.batch_norm_law(4, 16), rel=1e-12)
    assert abs(value - snd.batch_norm_law(4, 18)) > 4 * sem  # power: an eighth more samples
    assert {"snd_relative", "rms", "condition_number", "stable_rank", "law_first_order"} <= found.keys()


def test_another_population_is_another_measurement():
    assert measured(population="student_t", samples=200)["snd"] != measured(samples=200)["snd"]


def conditions(normalizer, group_size=None, iterations=None, name="spectrum"):
    arguments = {"features": 4, "samples": 500, "seed": 0, "group_size": group_size, "iterations": iterations}
    found = whole_conditioning(None, population=name, normalizer=normalizer, **arguments)
    assert all(each.estimate.sem == each.estimate.n == 0 for each in found)
    return [each.estimate.value for each in found]


def test_the_whole_population_is_whitened_by_zca_and_correlated_after_batch_norm():
    # Rounding of the inverse root: d eps cond = 4 * 2e-16 * 1e3.
    assert conditions("zca", 4) == pytest.approx([1, 4], abs=1e-10)
    values = np.linalg.eigvalsh(np.corrcoef(SPECTRUM.T))
    assert conditions("batch_norm") == pytest.approx([values[-1] / values[0], values.sum() / values[-1]], rel=1e-10)


@pytest.mark.parametrize("steps", [1, 3, 7])
def test_newton_steps_act_on_every_eigenvalue_of_the_whole_population_by_themselves(steps):
    values = np.linalg.eigvalsh(np.cov(SPECTRUM.T, bias=True))
    share, root = values / values.sum(), np.ones(4)
    for _ in range(steps):
        root = 1.5 * root - 0.5 * root**3 * share
    left = share * root**2
    truth = [left.max() / left.min(), left.sum() / left.max()]
    assert conditions("iter_norm", 4, steps) == pytest.approx(
        truth, rel=1e-9
    )  # d eps cond, as above, with cond^2 in the last digits
    assert conditions("iter_norm", 4, steps + 1) != pytest.approx(truth, rel=0.1)  # power: a step more


def test_a_normaliser_that_remembers_is_refused():
    with pytest.raises(ValueError, match="`normalizer` must see one batch alone, got 'mabn'"):
        conditions("mabn")
