"""Normalisers that remember earlier batches: their recursions in NumPy, and their limits."""

import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck.normalizers import batch_norm, mabn, memorized_batch_norm, moving_batch_norm, power_norm
from ntkcheck.normalizers.sequence import forgetting_time

BATCHES = np.random.default_rng(0).normal(1.0, 2.0, (6, 8, 3))


def run(normalizer, batches):
    state = normalizer.start(jnp.asarray(batches[0]))
    for x in batches[1:]:
        y, state = normalizer.step(state, jnp.asarray(x))
    return np.asarray(y)


def moving(values, rho):
    total = values[0]
    for value in values[1:]:
        total = (1 - rho) * total + rho * value
    return total


def test_batch_norm_in_inference_mode_is_a_moving_average_of_mean_and_unbiased_variance():
    variances = [BATCHES[0].var(axis=0), *BATCHES[1:].var(axis=1, ddof=1)]
    mean, variance = moving(BATCHES.mean(axis=1), 0.2), moving(variances, 0.2)
    np.testing.assert_allclose(
        run(moving_batch_norm(0.2, 0.1), BATCHES), (BATCHES[-1] - mean) / np.sqrt(variance + 0.1), atol=1e-14
    )


def test_mabn_divides_by_the_moving_second_moment_with_the_batch_and_power_norm_without():
    squares = (BATCHES**2).mean(axis=1)
    np.testing.assert_allclose(run(mabn(0.2), BATCHES), BATCHES[-1] / np.sqrt(moving(squares, 0.2)), atol=1e-14)
    before = BATCHES[-1] / np.sqrt(moving(squares[:-1], 0.2))
    np.testing.assert_allclose(run(power_norm(0.2), BATCHES), before, atol=1e-14)
    assert np.abs(run(mabn(0.2), BATCHES) - before).max() > 1e-3


def test_memorised_statistics_are_those_of_the_joined_batches():
    joined = BATCHES[-3:].reshape(-1, 3)
    expected = (BATCHES[-1] - joined.mean(axis=0)) / joined.std(axis=0)
    np.testing.assert_allclose(run(memorized_batch_norm(3), BATCHES), expected, atol=1e-14)
    # Power: a decay weighs them otherwise, and towards 0 it forgets all but the last.
    assert np.abs(run(memorized_batch_norm(3, 0.5), BATCHES) - expected).max() > 1e-2
    np.testing.assert_allclose(
        run(memorized_batch_norm(3, 1e-17), BATCHES), batch_norm(jnp.asarray(BATCHES[-1])), atol=1e-14
    )


def test_a_memory_of_one_batch_is_batch_norm():
    np.testing.assert_allclose(run(memorized_batch_norm(1), BATCHES), batch_norm(jnp.asarray(BATCHES[-1])), atol=1e-14)


def test_the_start_is_forgotten_to_e_to_the_minus_8():
    for momentum in (0.02, 0.1, 0.5):
        steps = forgetting_time(momentum)
        assert (1 - momentum) ** steps <= np.exp(-8) < (1 - momentum) ** (steps - 1)
    assert forgetting_time(1) == 1


@pytest.mark.parametrize("make", [moving_batch_norm, mabn, power_norm])
def test_a_momentum_outside_its_domain_is_refused(make):
    for momentum in (0.0, -0.1, 1.5):
        with pytest.raises(ValueError, match=f"`momentum` must be the weight of the newest batch, .* got {momentum}"):
            make(momentum)


def test_a_memory_outside_its_domain_is_refused():
    for batches in (0, 2.0, True):
        with pytest.raises(ValueError, match=f"`batches` must be a positive whole number, got {batches}"):
            memorized_batch_norm(batches)
    with pytest.raises(ValueError, match=r"`decay` must lie in \(0, 1\], got 0; 1 joins"):
        memorized_batch_norm(5, 0)
