import functools
import math

import jax
import numpy as np
import pytest

from ntkcheck.meanfield.batch_norm import batch_norm_nngp, batch_norm_step
from ntkcheck.meanfield.batch_norm_fixed_point import attraction, correlation_slope, fixed_point, gradient_growth
from ntkcheck.meanfield.field import Field
from tests.oracles.batch_norm import factor, laplace_step_from_factor, sphere_step
from tests.oracles.batch_norm_sampling import normalize

LIMIT = math.pi / (math.pi - 1)
SLOPES = (0.0, 1.0, -1.0, 0.2)

step = jax.jit(batch_norm_step)
nngp_step = jax.jit(batch_norm_nngp)


def centring(batch):
    return np.eye(batch) - 1 / batch


def symmetric_kernel(batch, slope):
    q, c, _, _ = fixed_point(batch, slope)
    return np.full((batch, batch), c) + (q - c) * np.eye(batch)


def tangent_growth(ntk):
    """tr(G Theta' G) / (B - 1) from the NTK after a layer that got Theta = G."""
    batch = len(ntk)
    return float(np.trace(centring(batch) @ ntk) / (batch - 1))


def antisymmetric(batch):
    e = np.zeros(batch)
    e[[0, -1]] = 0.5**0.5, -(0.5**0.5)
    return e


def test_relu_rates_are_the_published_ones():
    assert gradient_growth(8) == pytest.approx(1.788, abs=5e-4)
    assert gradient_growth(32) == pytest.approx(1.522, abs=5e-4)
    # Expanded in 1/B: 1.4669 + 1.6 / B.
    assert gradient_growth(10**9) == pytest.approx(LIMIT, abs=1e-8)


@pytest.mark.parametrize("batch", [4, 5, 8])
def test_identity_rates_are_ratios_of_whole_numbers(batch):
    # V = rho, V_c = m = 1, a few roundings each.
    assert gradient_growth(batch, 1.0) == pytest.approx((batch - 2) / (batch - 3), rel=1e-13)
    # The repeated sample leaves B - 2 directions, on which v is isotropic: B E[|v|^(-2)] = (B - 2) / (B - 4).
    # The quadrature over s is good to 1e-12 (laplace.STEP, CUT).
    expected = (batch - 2) / (batch - 4) if batch > 4 else math.inf
    assert correlation_slope(batch, 1.0) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("batch", [4, 8, 32])
def test_the_fixed_point_is_fixed_and_its_growth_is_that_of_the_integral(batch, slope):
    kernel = symmetric_kernel(batch, slope)
    after = step(Field(kernel, centring(batch)), slope)
    # The integral is good to 1e-12.
    np.testing.assert_allclose(after.nngp, kernel, rtol=0, atol=1e-11)
    growth = tangent_growth(after.ntk)
    assert gradient_growth(batch, slope) == pytest.approx(growth, rel=1e-11)
    assert gradient_growth(batch + 1, slope) != pytest.approx(growth, rel=1e-11)  # power
    assert np.abs(symmetric_kernel(batch + 1, slope)[:batch, :batch] - kernel).max() > 1e-11


@pytest.mark.parametrize("slope", SLOPES)
def test_growth_at_batch_four_agrees_with_integrals_over_cones(slope):
    kernel = symmetric_kernel(4, slope)
    oracle = sphere_step(kernel, centring(4), slope)
    assert oracle.error < 1e-10
    np.testing.assert_allclose(oracle.nngp, kernel, rtol=0, atol=1e-9)
    assert gradient_growth(4, slope) == pytest.approx(tangent_growth(oracle.ntk), rel=1e-9)


@functools.cache
def sampled_growth(batch, samples):
    """Mean and standard error of |G DF[t]|^2 / (B - 1), t ~ N(0, G) and u ~ N(0, K*) drawn, ReLU."""
    rng = np.random.default_rng(batch)
    root = np.linalg.cholesky(symmetric_kernel(batch, 0.0))
    u, t = (rng.standard_normal((samples, batch)) for _ in range(2))
    _, moved = normalize(u @ root.T, t - t.mean(1, keepdims=True), 0.0)
    growth = np.sum((moved - moved.mean(1, keepdims=True)) ** 2, axis=1) / (batch - 1)
    return growth.mean(), growth.std() / samples**0.5


@pytest.mark.parametrize("batch", [8, 32])  # E[|v|^(-4)] is finite from batch 6 on, and with it the standard error
def test_sampling_the_definition_gives_the_relu_rate_of_the_batch(batch):
    mean, standard_error = sampled_growth(batch, 150_000)
    assert abs(mean - gradient_growth(batch)) < 4 * standard_error
    assert abs(mean - LIMIT) > 4 * standard_error  # power: the population's rate is not that of the batch
    assert abs(mean - batch / ((batch - 3) * (1 - fixed_point(batch).correlation))) > 4 * standard_error


def tangent_operator(batch, slope):
    """The map of centred symmetric tangent covariances at the fixed point, in an orthonormal basis; and G in that basis."""
    frame = np.linalg.qr(np.column_stack([np.ones(batch), np.eye(batch)[:, 1:]]))[0][:, 1:]
    rows, columns = np.triu_indices(batch - 1)
    basis = np.zeros((len(rows), batch - 1, batch - 1))
    basis[np.arange(len(rows)), rows, columns] += 0.5
    basis[np.arange(len(rows)), columns, rows] += 0.5
    basis = frame @ (basis / np.linalg.norm(basis, axis=(1, 2), keepdims=True)) @ frame.T
    kernel = symmetric_kernel(batch, slope)
    images = np.stack([step(Field(kernel, tangent), slope).ntk for tangent in basis])
    return np.einsum("aij,bij->ab", basis, images), np.einsum("aij,ij->a", basis, centring(batch))


@pytest.mark.parametrize("batch", [4, 8])
def test_the_isotropic_tangent_grows_fastest_of_all(batch):
    operator, isotropic = tangent_operator(batch, slope=0.0)
    growth = gradient_growth(batch)
    # The operator is normal by symmetry; entries good to 1e-11 move eigenvalues by less than dimension x 1e-11.
    np.testing.assert_allclose(operator @ isotropic, growth * isotropic, rtol=0, atol=1e-9)
    eigenvalues = np.sort(np.linalg.eigvals(operator).real)[::-1]
    assert eigenvalues[0] == pytest.approx(growth, rel=1e-9)
    assert eigenvalues[1] < growth - 0.1
    # Three eigenvalues: the trivial representation, the standard one (batch - 1), the rest.
    distinct, multiplicity = np.unique(eigenvalues.round(8), return_counts=True)
    assert len(distinct) == 3
    assert sorted(multiplicity) == sorted([1, batch - 1, batch * (batch - 3) // 2])


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("batch", [4, 6])
def test_deviations_shrink_as_attraction_says(batch, slope):
    # Two deviations of the kernel: of the variances of two samples, and of the covariances of four.
    variances = np.diag(antisymmetric(batch)[::-1])
    a, b = np.zeros((2, batch))
    a[:2], b[2:4] = (1, -1), (1, -1)
    kernel, h = symmetric_kernel(batch, slope), 1e-4
    shrinkage = []
    for deviation in (centring(batch) @ variances @ centring(batch), np.outer(a, b) + np.outer(b, a)):
        difference = (nngp_step(kernel + h * deviation, slope) - nngp_step(kernel - h * deviation, slope)) / (2 * h)
        shrinkage.append(np.sum(difference * deviation) / np.sum(deviation**2))
    # Central difference: O(h^2) = 1e-8 times third derivatives of order 10, rounding 1e-12 / h.
    assert attraction(batch, slope) == pytest.approx(np.max(np.abs(shrinkage)), abs=1e-6)
    assert attraction(batch + 1, slope) != pytest.approx(np.max(np.abs(shrinkage)), abs=1e-6)  # power


def iterated(nngp, slope, layers):
    for _ in range(layers):
        nngp = nngp_step(nngp, slope)
    return np.asarray(nngp)


@pytest.mark.parametrize("slope", SLOPES)
def test_a_random_batch_tends_to_the_fixed_point(slope):
    x = np.random.default_rng(0).standard_normal((6, 20))
    layers = math.ceil(math.log(1e-11) / math.log(attraction(6, slope)))
    # The first deviation is below 10 and shrinks to 1e-10.
    np.testing.assert_allclose(iterated(x @ x.T, slope, layers), symmetric_kernel(6, slope), rtol=0, atol=1e-10)


def test_the_absolute_value_has_another_attractor_in_which_one_sample_dominates():
    x = np.random.default_rng(0).standard_normal((32, 32))
    late = iterated(x @ x.T, -1.0, 200)
    later = iterated(late, -1.0, 100)
    np.testing.assert_allclose(later, late, rtol=0, atol=1e-9)
    assert later.diagonal().max() > 10 * fixed_point(32, -1.0).variance
    assert attraction(32, -1.0) < 1


def repeated_batch_slope(batch, slope):
    """The oracle of `correlation_slope`: the kernel of a batch with a repeated sample iterated, then e^T Theta' e.

    Deviations shrink by (B-1)/(B+1) per layer or faster: the first to below 1e-10.
    """
    layers = math.ceil(math.log(1e-10) / math.log((batch - 1) / (batch + 1)))
    twin = np.r_[np.arange(batch - 1), 0]
    e = antisymmetric(batch)
    nngp = np.eye(batch)[twin][:, twin]
    for _ in range(layers):
        after = laplace_step_from_factor(factor(nngp)[twin], np.outer(e, e), slope)
        nngp = after.nngp
    return float(e @ after.ntk @ e)


@pytest.mark.parametrize("slope", [0.0, 1.0, -1.0])
@pytest.mark.parametrize("batch", [5, 8])
def test_correlation_slope_is_the_growth_at_the_fixed_point_of_a_batch_with_a_repeated_sample(batch, slope):
    expected = repeated_batch_slope(batch, slope)
    # The kernel is off by 1e-10, the two quadratures by 1e-12.
    assert correlation_slope(batch, slope) == pytest.approx(expected, rel=1e-9)
    approximation = batch / ((batch - 3) * (1 - fixed_point(batch).correlation))
    assert slope != 0 or approximation != pytest.approx(expected, rel=1e-2)  # power: no repeated sample


@pytest.mark.parametrize("growth", [gradient_growth, correlation_slope])
def test_rates_tend_to_the_population_rate_like_one_over_batch(growth):
    batches = np.array([128, 512, 2048])

    def order(limit):
        return np.polyfit(np.log(batches), np.log([abs(growth(int(batch)) - limit) for batch in batches]), 1)[0]

    # a / B + b / B^2 with b / a < 6: off -1 by at most 6 / 128.
    assert order(LIMIT) == pytest.approx(-1, abs=6 / 128)
    assert abs(order(1.46) + 1) > 6 / 128  # power: another limit, 0.007 away


def test_a_batch_of_three_has_infinite_growth_as_the_integral_says():
    assert gradient_growth(3) == math.inf
    assert correlation_slope(4) == math.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fixed_point(1), "`batch` must be a whole number of samples, at least 2, got 1"),
        (lambda: gradient_growth(2), "`batch` must be a whole number of samples, at least 3, got 2"),
        (lambda: attraction(8.0), "`batch` must be a whole number of samples, at least 3, got 8.0"),
        (lambda: correlation_slope(3), "`batch` must be a whole number of samples, at least 4, got 3"),
        (lambda: fixed_point(8, math.nan), "`slope` must be finite, got nan"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
