"""The NTK of digits through depth: entries and eigenvalues of one kernel, and networks near the theory."""

import math

import jax
import numpy as np
import pytest

from ntkcheck import data
from ntkcheck.regime.ntk_depth import _digits, ntk_of_digits


def kernel(entries, batch):
    found = np.zeros((batch, batch))
    found[np.triu_indices(batch)] = entries
    return np.triu(found, 1).T + found


def test_digits_are_sorted_by_class_the_same_number_of_each():
    x = data.standardize(data.digits().x)
    rows = [int(np.flatnonzero((x == digit).all(1))[0]) for digit in _digits(20)]
    assert list(data.digit_labels()[rows]) == sorted(list(range(10)) * 2)


@pytest.mark.parametrize("normalizer", ["none", "batch_norm"])
def test_entries_and_eigenvalues_belong_to_the_same_kernel_of_mean_diagonal_one(normalizer):
    entries, eigenvalues = (m.estimate for m in ntk_of_digits(None, normalizer, 3, math.inf, 6, 1))
    found = kernel(entries.value, 6)
    assert np.trace(found) == pytest.approx(6, rel=1e-12)
    # Entries are rounded to 1e-16 of the largest eigenvalue, at most 6.
    np.testing.assert_allclose(np.linalg.eigvalsh(found)[::-1], eigenvalues.value, atol=1e-12)


def test_networks_are_near_the_theory():
    theory, networks = (
        ntk_of_digits(jax.random.key(0), "weight_mean", 2, w, 6, 8)[0].estimate for w in (math.inf, 256)
    )
    # 21 entries and bias O(1 / width) of entries of order 1.
    assert (np.abs(networks.value - theory.value) <= 4 * networks.sem + 2 / 256).all()
    without = ntk_of_digits(jax.random.key(0), "none", 2, math.inf, 6, 8)[0].estimate
    assert (np.abs(networks.value - without.value) > 4 * networks.sem + 2 / 256).any()  # power
