"""SND over sequences of batches against BatchNorm's laws."""

import jax
import numpy as np
import pytest

from ntkcheck import snd
from ntkcheck.normalizers import SequenceNormalizer, mabn, memorized_batch_norm, moving_batch_norm, power_norm
from ntkcheck.snd import batch_norm_law, isotropic_zca

KEY = jax.random.key(0)
D, M = 8, 32
POPULATION = np.random.default_rng(0).standard_normal((4000, D))


def measured(normalizer, **options):
    return snd.sequence_disturbance(normalizer, POPULATION, M, 200, 300, key=KEY, **options)


def test_a_memory_of_one_batch_has_the_law_of_batch_norm():
    found, law = measured(memorized_batch_norm(1)), batch_norm_law(D, M)
    assert abs(found.value - law) <= 4 * found.sem
    assert 4 * found.sem < 0.1 * law


@pytest.mark.parametrize(
    ("normalizer", "variance"),
    [
        (memorized_batch_norm(4), 1.5 / 4),
        (moving_batch_norm(0.2), 1.5 * 0.2 / 1.8),
        # No mean: e = -x delta chi / 2, Var chi = 2 / m: x^2 / (2 m). PowerNorm's weights come a batch later.
        (mabn(0.2), 0.5 * 0.2 / 1.8),
        (power_norm(0.2), 0.5 * 0.2 / 1.8),
    ],
)
def test_averages_lower_the_disturbance_by_the_root_of_their_squared_weights(normalizer, variance):
    # SND = c sqrt(d variance / m): the sum of squared weights is 1/k or rho / (2 - rho). c = E |e| / sqrt(E |e|^2) is first order's
    # for BatchNorm; without the mean e = -x delta, coordinate by coordinate: measured to lie in (0.8, 1), so 10% is allowed for it.
    found = measured(normalizer)
    law = np.sqrt(D * variance / M)
    shape = isotropic_zca(D, 1, M, mean=True) / isotropic_zca(D, 1, M) if variance > 0.1 else 0.9
    # Relative remainder of order 1 / (m k): 1%.
    tolerance = 4 * found.sem + (0.01 if variance > 0.1 else 0.1) * law
    assert abs(found.value - shape * law) <= tolerance
    # Power: twice the sum of squared weights is refuted.
    assert abs(found.value - shape * law * 2**0.5) > tolerance


def test_what_is_remembered_before_the_start_is_none_of_it():
    # With no batches before, PowerNorm divides by the population's statistics: no disturbance at all.
    found = measured(power_norm(0.2), warm_up=0)
    assert found.value < 1e-12  # a mean of 300 vectors of length 3: 300 roundings at most
    assert measured(mabn(0.2), warm_up=0).value > 0.01


def test_breakdown_is_recorded():
    def step(state, x):
        return x / (x.mean() - x.mean()), state

    found = measured(SequenceNormalizer("zero", lambda x: x[:1], step, 1))
    assert found.broken == 200 * 300
    assert np.isnan(found.value)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="`warm_up` must be a whole number of at least 0, got -1"):
        measured(mabn(0.2), warm_up=-1)
    with pytest.raises(ValueError, match="`population` must hold at least `batch_size` samples, got 20"):
        snd.sequence_disturbance(mabn(0.2), POPULATION[:20], M, key=KEY)
