import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkcheck.kernels import condition_number, correlation, largest_share, normalized_off_diagonal, pair_correlations

STATISTICS = (normalized_off_diagonal, condition_number, largest_share)


def exchangeable(batch, diagonal, off_diagonal):
    return np.full((batch, batch), off_diagonal) + (diagonal - off_diagonal) * np.eye(batch)


def random_kernel(seed, batch=5, rank=7):
    a = np.random.default_rng(seed).standard_normal((batch, rank))
    return a @ a.T


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 9), st.floats(0.1, 10), st.floats(-0.1, 0.9))
def test_an_exchangeable_kernel_has_its_closed_forms(batch, diagonal, rho):
    # Eigenvalues: diagonal (1 - rho), batch - 1 times, and diagonal (1 + (batch - 1) rho).
    kernel = exchangeable(batch, diagonal, rho * diagonal)
    along, across = 1 + (batch - 1) * rho, 1 - rho
    # Rounding of sums of 81 entries and of eigenvalues, relative to the smallest eigenvalue, 0.1 of the largest at least.
    assert normalized_off_diagonal(kernel) == pytest.approx(rho, abs=1e-13)
    assert condition_number(kernel) == pytest.approx(max(along, across) / min(along, across), rel=1e-12)
    assert largest_share(kernel) == pytest.approx(max(along, across) / batch, rel=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(0.01, 100), st.permutations(range(5)))
def test_scale_and_order_of_the_samples_do_not_matter(seed, scale, order):
    kernel = random_kernel(seed)
    moved = scale * kernel[np.ix_(order, order)]
    for statistic in STATISTICS:
        # A condition number up to 1e5 amplifies rounding by as much.
        assert statistic(moved) == pytest.approx(statistic(kernel), rel=1e-9, abs=1e-12)


def test_the_extremes_are_a_constant_and_a_kronecker_delta():
    assert normalized_off_diagonal(np.ones((4, 4))) == 1
    assert largest_share(np.ones((4, 4))) == pytest.approx(1, abs=1e-15)
    assert normalized_off_diagonal(np.eye(4)) == 0
    assert condition_number(np.eye(4)) == 1
    assert largest_share(np.eye(4)) == 1 / 4


def test_off_diagonal_entries_far_below_the_rounding_of_the_diagonal_are_not_lost():
    # Entries of one sign are summed to a few eps, 20 entries here, whatever the diagonal; a difference of sums gives 0.
    kernel = exchangeable(5, 3.0, 0.0) + 1.2e-18 * (1 - np.eye(5))
    assert normalized_off_diagonal(kernel) == pytest.approx(4e-19, rel=1e-14, abs=0)
    assert kernel.sum() - np.trace(kernel) == 0  # power


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_kernel_that_is_singular_up_to_rounding_has_no_finite_condition_number(dtype):
    a = np.random.default_rng(0).standard_normal((5, 3)).astype(dtype)
    assert condition_number(a @ a.T) == math.inf
    # Power: an eigenvalue that is resolved, a hundred times the threshold, is not taken for 0.
    small = 100 * 5 * np.finfo(dtype).eps
    assert condition_number(np.diag(np.array([1, 1, 1, 1, small], dtype))) == pytest.approx(1 / small, rel=1e-5)


def test_stacks_are_mapped():
    stack = np.stack([random_kernel(seed) for seed in range(6)]).reshape(2, 3, 5, 5)
    for statistic in (*STATISTICS, correlation, pair_correlations):
        each = np.stack([statistic(kernel) for kernel in stack.reshape(6, 5, 5)])
        np.testing.assert_allclose(statistic(stack), each.reshape(2, 3, *each.shape[1:]), rtol=1e-12)


def test_one_broken_kernel_of_a_stack_breaks_its_own_numbers_only():
    whole = random_kernel(0)
    for value in (np.nan, np.inf):
        broken = whole.copy()
        broken[1, 2] = broken[2, 1] = value
        stack = np.stack([whole, broken])
        for statistic in (condition_number, largest_share):
            found = statistic(stack)
            assert found[0] == statistic(whole)
            assert np.isnan(found[1])
            assert np.isnan(statistic(broken))


def test_correlations_are_cosines_of_the_vectors_behind_the_kernel():
    a = np.random.default_rng(1).standard_normal((5, 3))
    cosines = [[u @ v / (np.linalg.norm(u) * np.linalg.norm(v)) for v in a] for u in a]
    np.testing.assert_allclose(correlation(a @ a.T), cosines, rtol=1e-13)
    # The fifth sample has no partner.
    np.testing.assert_allclose(pair_correlations(a @ a.T), [cosines[0][1], cosines[2][3]], rtol=1e-13)
