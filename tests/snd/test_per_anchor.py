"""Anchors by rank-one updates: against whole batches normalised, against enumeration, and their parts against oracles."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from ntkcheck import normalizers, snd
from ntkcheck.snd.batches import draw_indices, draw_mates
from ntkcheck.snd.chebyshev import newton_coefficients
from ntkcheck.snd.inverse_root import inverse_root_nodes
from ntkcheck.snd.rank_one import largest_eigenvalue_bound
from tests.snd.enumeration import batch_norm_of_first

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("name", "parameters", "tolerance"),
    [
        ("batch_norm", {}, 1e-13),
        ("batch_norm", {"eps": 0.5}, 1e-13),
        ("zca", {"group_size": 8}, 1e-7),  # the quadrature's 1e-8 in outputs of order 3
        ("zca", {"group_size": 4, "eps": 0.3}, 1e-7),
        ("iter_norm", {"group_size": 8}, 1e-7),  # the expansion's 1e-8
        ("iter_norm", {"group_size": 4, "iterations": 8, "eps": 0.1}, 1e-7),
    ],
)
def test_each_anchor_has_the_disturbance_of_whole_batches_with_the_same_mates(name, parameters, tolerance):
    rng, m, draws = np.random.default_rng(0), 12, 5
    population = rng.standard_normal((50, 8)) * np.geomspace(1, 30, 8) + 3
    anchors = population[:3]
    found = snd.per_anchor(name, population, anchors, m, draws, key=KEY, **parameters)
    function = normalizers.get(name, **parameters).function
    mates = [population[np.asarray(draw_indices(key, 50, m - 1, True))] for key in jax.random.split(KEY, draws)]
    y = np.array([[function(jnp.asarray(np.vstack([x, others])))[0] for others in mates] for x in anchors])
    distance = np.linalg.norm(y - y.mean(axis=1, keepdims=True), axis=2)
    factor = np.sqrt(draws / (draws - 1))
    np.testing.assert_allclose(found.value, factor * distance.mean(axis=1), rtol=tolerance)
    np.testing.assert_allclose(found.sem, factor * distance.std(axis=1, ddof=1) / draws**0.5, rtol=10 * tolerance)


def test_single_anchors_have_what_enumeration_gives():
    population = np.random.default_rng(1).standard_normal((7, 2))
    anchors = np.array([[0.0, 0.0], [3.0, -1.0]])  # not of the population
    mates = np.stack(np.meshgrid(*[range(7)] * 3), axis=-1).reshape(-1, 3)
    y = [batch_norm_of_first(np.concatenate([np.tile(x, (343, 1, 1)), population[mates]], axis=1)) for x in anchors]
    truth = [np.linalg.norm(each - each.mean(axis=0), axis=1).mean() for each in y]
    found = snd.per_anchor("batch_norm", population, anchors, 4, 4000, key=KEY)
    assert np.all(np.abs(found.value - truth) <= 4 * found.sem)
    # Power: another anchor is told from it.
    assert abs(found.value[0] - truth[1]) > 8 * found.sem[0]


@pytest.mark.parametrize("condition", [1.5, 1e3, 1e8])
def test_the_inverse_root_is_a_sum_of_resolvents(condition):
    shifts, weights = (np.asarray(part) for part in inverse_root_nodes(0.5, 0.5 * condition, np.dtype(float)))
    s = np.geomspace(0.5, 0.5 * condition, 300)
    np.testing.assert_allclose((weights / (s[:, None] + shifts)).sum(1) * np.sqrt(s), 1, atol=1e-8)
    # Power: the same nodes fail below the interval.
    if condition > 100:
        low = 0.5 / 1e4
        assert abs(np.sum(weights / (low + shifts)) * np.sqrt(low) - 1) > 1e-3


@pytest.mark.parametrize("iterations", [1, 5, 10])
@pytest.mark.parametrize("end", [1.0, 0.05])
def test_newtons_polynomial_is_a_short_chebyshev_expansion(iterations, end):
    coefficients, _ = newton_coefficients(iterations, end, np.dtype(float))

    def newton(s):
        with mpmath.workdps(30):
            p = mpmath.mpf(1)
            for _ in range(iterations):
                p = (3 * p - p**3 * s) / 2
            return float(p)

    s = np.linspace(0, end, 60)
    exact = np.array([newton(value) for value in s])
    found = np.polynomial.chebyshev.chebval(2 * s / end - 1, np.asarray(coefficients))
    np.testing.assert_allclose(found, exact, atol=1e-8 * exact[-1])
    if (iterations, end) == (5, 1.0):
        assert len(coefficients) <= 34  # degree 27 to 1e-7, of 121


def test_the_bound_on_the_largest_eigenvalue_is_one_and_near():
    x = np.random.default_rng(3).standard_normal((5, 40, 16))
    covariance = np.einsum("bij,bik->bjk", x, x)
    largest = np.linalg.eigvalsh(covariance)[:, -1]
    bound = np.asarray(largest_eigenvalue_bound(jnp.asarray(covariance)))
    assert np.all(bound >= largest)
    assert np.all(bound <= 16**0.125 * largest)


def test_subsets_are_uniform_and_mates_leave_the_anchor_out():
    keys = jax.random.split(KEY, 6000)
    subsets = np.sort(np.asarray(jax.jit(jax.vmap(lambda k: draw_indices(k, 5, 3, False)))(keys)), axis=1)
    found, count = np.unique(subsets, axis=0, return_counts=True)
    assert np.all(np.diff(found, axis=1) > 0)
    # Ten subsets, 600 each with standard deviation 23; the largest of ten is within 4.
    assert len(found) == 10
    assert np.max(np.abs(count - 600)) < 4 * 23.3
    mates = np.asarray(jax.jit(jax.vmap(lambda k: draw_mates(k, jnp.asarray(2), 5, 4, False)))(keys[:20]))
    assert np.array_equal(np.sort(mates, axis=1), np.tile([0, 1, 3, 4], (20, 1)))


def test_what_has_no_rule_or_not_enough_mates_is_refused():
    population = np.random.default_rng(4).standard_normal((30, 4))
    with pytest.raises(ValueError, match=r"`normalizer` must be one of batch_norm, zca, iter_norm, got 'pca'"):
        snd.per_anchor("pca", population, population[:2], 8, key=KEY, group_size=2)
    with pytest.raises(ValueError, match=r"`batch_size` must exceed the group size by 2 .* got 5 for groups of 4"):
        snd.per_anchor("zca", population, population[:2], 5, key=KEY, group_size=4)
    with pytest.raises(ValueError, match=r"`iterations` must be at most 10 here, got 11; use `disturbance`"):
        snd.per_anchor("iter_norm", population, population[:2], 8, key=KEY, group_size=4, iterations=11)
    with pytest.raises(ValueError, match=r"`anchors` must have the shape \(anchors, 4\) .* got \(2, 3\)"):
        snd.per_anchor("batch_norm", population, population[:2, :3], 8, key=KEY)
    with pytest.raises(ValueError, match=r"`anchors` must be finite"):
        snd.per_anchor("batch_norm", population, np.full((1, 4), np.nan), 8, key=KEY)
