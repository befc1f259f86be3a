"""Tangent Monte Carlo against the exact integral, in units of its own standard errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck import meanfield
from ntkcheck.meanfield import tangent
from ntkcheck.meanfield.field import Field
from ntkcheck.meanfield.propagate import propagate
from ntkcheck.network import make_network
from ntkcheck.normalizers import batch_norm, layer_norm, zca


def own_batch_norm(u):
    """BatchNorm as a user writes it: theory has to sample it."""
    centred = u - u.mean(0, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(0, keepdims=True))


def gaussian(batch, features, seed=0):
    return np.random.default_rng(seed).standard_normal((batch, features))


@functools.cache
def z_scores(replicates=32, repetitions=200):
    """z of the NTK's trace and of one off-diagonal entry after one layer, where the estimate is unbiased."""
    x = gaussian(6, 9)
    exact = np.asarray(meanfield.propagate(x, 1, "batch_norm").ntk)
    network = make_network(1, own_batch_norm)
    scores = []
    for seed in range(repetitions):
        sampled = meanfield.profile(
            x, network, key=jax.random.key(seed), samples=32 * replicates, replicates=replicates
        )
        ntk = np.asarray(sampled.replicates.tangents[:, -1, 0])
        read = np.stack([np.trace(ntk, axis1=1, axis2=2), ntk[:, 0, 3]], axis=1)
        truth = np.array([np.trace(exact), exact[0, 3]])
        scores.append((read.mean(0) - truth) / (read.std(0, ddof=1) / replicates**0.5))
    return np.array(scores)


# With 32 replicates z follows Student's t with 31 degrees of freedom: variance 31/29. The variance of 200 of them has the
# relative standard error (2/199)^(1/2) = 0.1, their mean the standard error 200^(-1/2); four of each are allowed.
def variance_fits(z):
    return np.abs(z.var(0, ddof=1) / (31 / 29) - 1) < 4 * (2 / 199) ** 0.5


def test_z_scores_have_the_variance_of_their_distribution_and_no_bias():
    z = z_scores()
    assert variance_fits(z).all()
    assert (np.abs(z.mean(0)) < 4 * (31 / 29 / 200) ** 0.5).all()


def test_standard_errors_that_are_half_as_large_are_noticed():
    assert not variance_fits(2 * z_scores()).any()


def shares(batch, exact_radius, samples=2**14):
    law = tangent.Law(samples, 1, exact_radius)
    field = Field(jnp.asarray(np.cov(gaussian(batch, 4 * batch))), jnp.eye(batch)[None])
    return tangent.tangent_moments(jax.random.key(1), field, own_batch_norm, law)


# The share of a draw is about r^(-2), r^2 ~ chi^2 with B - 1 degrees of freedom: P(share > t) ~ t^(-(B-1)/2). Hill's estimate
# from 128 shares has the relative standard error 128^(-1/2) = 0.09; four of them are allowed.
@pytest.mark.parametrize(("batch", "heavy"), [(4, True), (16, False)])
def test_infinite_variance_at_small_batches_is_detected(batch, heavy):
    index, count = tangent.tail_index(shares(batch, exact_radius=False)[1])
    assert (index < 2) == heavy
    if heavy:
        assert abs(index / 1.5 - 1) < 4 / count**0.5


def test_exact_radius_takes_the_heavy_tail_away_and_keeps_the_mean():
    field, draws = shares(4, exact_radius=True)
    assert tangent.tail_index(draws)[0] > 2
    nngp = jnp.asarray(np.cov(gaussian(4, 16)))
    exact = np.trace(meanfield.batch_norm.batch_norm_step(Field(nngp, jnp.eye(4)), slope=1.0).ntk)
    sem = float(draws.std()) / len(draws) ** 0.5  # antipodes and orthogonal blocks only make the error smaller
    assert abs(float(jnp.trace(field.ntk[0])) - exact) < 4 * sem
    assert abs(float(jnp.trace(field.ntk[0])) - 1.05 * exact) > 4 * sem


@pytest.mark.parametrize(
    ("function", "group", "ignores"),
    [
        (batch_norm, 1, True),
        (functools.partial(batch_norm, eps=1e-3), 1, False),
        (functools.partial(zca, group_size=4), 4, True),
        (layer_norm, 4, False),
        (lambda u: u, 1, False),
    ],
)
def test_functions_that_ignore_shift_and_scale_are_recognised(function, group, ignores):
    assert tangent.ignores_shift_and_scale(function, 12, group) is ignores


def test_draws_of_a_group_have_the_covariance_they_are_drawn_with():
    nngp = jnp.asarray(np.cov(gaussian(5, 20)))
    u = tangent.draw(jax.random.key(2), tangent.Law(2**15, 2, exact_radius=False), nngp)
    for column in (u[:, :, 0], u[:, :, 1]):
        # an entry of a sample covariance of 2^15 draws has a standard error of at most 2^(1/2) 2^(-15/2) q; four of them
        np.testing.assert_allclose(column.T @ column / len(u), nngp, atol=4 * 2**0.5 * 2**-7.5 * float(nngp.max()))
    across = u[:, :, 0].T @ u[:, :, 1] / len(u)
    np.testing.assert_allclose(across, 0, atol=4 * 2**-7.5 * float(nngp.max()))


def test_whitened_groups_keep_their_variance_exactly():
    # ZCA gives every feature variance 1 over the batch in every draw, so that tr K' = B up to rounding
    network = make_network(3, "zca", "identity")
    nngp = np.asarray(meanfield.profile(gaussian(20, 30), network, samples=256).replicates.nngp)
    np.testing.assert_allclose(np.trace(nngp[:, 1:], axis1=2, axis2=3), 20, rtol=1e-9)


def test_sampled_network_agrees_with_the_exact_integral_through_depth():
    # 4 propagations of 2048 neurons: about 2% a layer in the NTK, so 4% over 3 layers allows two standard errors and more
    x = gaussian(12, 20)
    exact = np.asarray(propagate(x, 3, "batch_norm").ntk)
    sampled = np.asarray(propagate(x, 3, own_batch_norm, samples=8192).ntk)
    assert np.linalg.norm(sampled - exact) < 0.04 * np.linalg.norm(exact)
    assert np.linalg.norm(sampled - np.asarray(propagate(x, 3, "batch_norm", "abs").ntk)) > 0.04 * np.linalg.norm(exact)
