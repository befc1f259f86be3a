"""The spectrum of normalised outputs."""

import jax
import numpy as np
import pytest

from ntkcheck import normalizers
from ntkcheck.data import population
from ntkcheck.disturbance.conditioning import LEAST_SAMPLES, conditioning
from ntkcheck.disturbance.normalizer import make

KEY = jax.random.key(0)
X = population("spectrum", 1500, 4).x


def of(name, group_size=None, iterations=None, m=64, x=X, replacement=True):
    return conditioning(KEY, make(name, m, x.shape[1], group_size, iterations), x, m, replacement)


def test_full_whitening_has_condition_one_exactly_and_rank_d():
    found = of("zca", 4)
    # Every batch's covariance is I to rounding of about d eps cond = 4 * 2e-16 * 1e3.
    assert found.condition_number.value == pytest.approx(1, abs=1e-10)
    assert found.stable_rank.value == pytest.approx(4, abs=1e-10)
    assert found.rms.value == pytest.approx(1, abs=1e-12)
    assert found.samples >= LEAST_SAMPLES


def test_batch_norm_and_its_moving_averages_leave_the_correlations():
    # Scales fluctuate by 1 / (2 m) in square and differently from feature to feature: that adds at most 1 / (2 m) of the largest
    # eigenvalue to the smallest, condition / (2 m) relatively, and what is of higher order half as much again.
    x = np.random.default_rng(1).standard_normal((1500, 4)) @ np.array(
        [[2, 1, 1, 0], [0, 1, 1, 10], [0, 0, 1, 10], [0, 0, 0, 10]]
    )
    values = np.linalg.eigvalsh(np.corrcoef(x.T))
    truth = values[-1] / values[0]
    for name in ("batch_norm", "moving_batch_norm"):
        found = of(name, m=256, x=x)
        condition, sem, _ = found.condition_number
        assert abs(condition - truth) <= 4 * sem + truth**2 / 256
        assert abs(found.stable_rank.value - 4 / values[-1]) <= 4 * found.stable_rank.sem + 4 / 256
        # Power: it is not the condition number of the covariance.
        assert abs(condition - np.linalg.cond(np.cov(x.T))) > 4 * sem + truth**2 / 256


def test_errors_are_the_scatter_over_repetitions():
    found = [
        conditioning(jax.random.key(seed), make("batch_norm", 64, 4, None, None), X, 64, True).condition_number
        for seed in range(24)
    ]
    scatter = np.std([each.value for each in found], ddof=1)
    # 24 values: 15%; errors from 8 blocks: 27% each, their root mean square 5%.
    assert 0.5 < scatter / np.sqrt(np.mean([each.sem**2 for each in found])) < 1.6


def test_lost_directions_are_infinite_and_breakdown_is_nan():
    assert of("layer_norm").condition_number.value == np.inf  # features of every sample sum to 0
    x = np.zeros((100, 2))
    x[:, 0], x[0, 1] = np.arange(100), 1  # constant in most batches
    with np.errstate(invalid="ignore"):
        broken = of("batch_norm", x=x, m=4)
    assert np.isnan(broken.condition_number.value)
    assert np.isnan(broken.condition_number.sem)


def test_without_replacement_a_batch_of_everything_is_the_population():
    found = of("batch_norm", x=X[:64], m=64, replacement=False)
    exact = np.linalg.cond(np.corrcoef(X[:64].T))
    assert found.condition_number.value == pytest.approx(exact, rel=1e-8)
    assert found.condition_number.sem < 1e-8 * exact


def test_normalisers_by_name_are_one_object_each():
    assert make("zca", 64, 4, 2, None) is make("zca", 32, 8, 2, None)
    assert make("moving_batch_norm", 8, 4, None, None) is make("moving_batch_norm", 16, 4, None, None)
    assert make("iter_norm", 8, 4, 2, 3) is normalizers.get("iter_norm", 2, 3)
