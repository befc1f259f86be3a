"""IterNorm against its eigenvalues' own recursion (mpmath), its published form and its published gradient (NumPy)."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkcheck.normalizers import batch_norm, iter_norm, zca
from ntkcheck.normalizers.iter_norm import newton_inverse_root
from tests.normalizers.batches import batch_of_spectrum, covariance, orthogonal

EPSILON = 2.0**-52
GROUP = 8


@functools.cache
def compiled(group_size, iterations):
    return jax.jit(functools.partial(iter_norm, group_size=group_size, iterations=iterations))


compiled_zca = jax.jit(functools.partial(zca, group_size=GROUP))


def spectrum(condition):
    """Eigenvalues of trace 1, geometric."""
    eigenvalues = np.geomspace(1, condition, GROUP)
    return eigenvalues / eigenvalues.sum()


def newton_scalar(s, iterations):
    """p_T of p <- (3 p - p^3 s) / 2 from p = 1, in 50 digits."""
    with mpmath.workdps(50):
        s, p = mpmath.mpf(float(s)), mpmath.mpf(1)
        for _ in range(iterations):
            p = (3 * p - p**3 * s) / 2
        return float(p)


def newton_exact(eigenvalues, basis, iterations):
    return (basis * [newton_scalar(s, iterations) for s in eigenvalues]) @ basis.T


def newton_published(matrix, iterations):
    """P <- (3 P - P^3 S) / 2 from P = I, as the paper has it."""
    p = np.eye(len(matrix))
    for _ in range(iterations):
        p = (3 * p - p @ p @ p @ matrix) / 2
    return p


def matrix_of_spectrum(eigenvalues, seed=1):
    basis = orthogonal(GROUP, seed)
    return (basis * eigenvalues) @ basis.T, basis


def rounding(eigenvalues, iterations):
    """A bound on the error of P_T: the matrix is rounded to 2^-52, and |dp/ds| <= p^3 / 2; ten roundings per product."""
    return 10 * GROUP * EPSILON * max(newton_scalar(s, iterations) for s in eigenvalues) ** 3


@pytest.mark.parametrize("condition", [1.0, 10.0, 1e4, 1e6])
@pytest.mark.parametrize("iterations", [1, 2, 5, 15])
def test_each_eigenvalue_follows_the_scalar_recursion(condition, iterations):
    eigenvalues = spectrum(condition)
    matrix, basis = matrix_of_spectrum(eigenvalues)
    root = np.asarray(newton_inverse_root(jnp.asarray(matrix), iterations))
    bound = rounding(eigenvalues, iterations)
    np.testing.assert_allclose(root, newton_exact(eigenvalues, basis, iterations), atol=bound)
    # Power: one step more or less is another matrix, unless the iteration has converged, as 15 steps have for s > 0.03.
    if iterations < 15 or condition > 10:
        for other in (iterations - 1, iterations + 1):
            assert np.max(np.abs(root - newton_exact(eigenvalues, basis, other))) > 100 * bound


def test_published_form_agrees_while_it_is_young_and_breaks_down_where_the_coupled_form_does_not():
    matrix, _ = matrix_of_spectrum(spectrum(10.0))
    for iterations in (1, 2, 3):
        coupled = newton_inverse_root(jnp.asarray(matrix), iterations)
        # Amplification per step is at most (p_i / p_j)^2 / 2 + 1 < 3 here: 27 times a dozen roundings.
        np.testing.assert_allclose(coupled, newton_published(matrix, iterations), atol=1e-12)
    eigenvalues = spectrum(1e6)
    matrix, basis = matrix_of_spectrum(eigenvalues)
    exact = newton_exact(eigenvalues, basis, 15)
    coupled = newton_inverse_root(jnp.asarray(matrix), 15)
    assert np.max(np.abs(coupled - exact)) <= rounding(eigenvalues, 15) < 1e-5
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.max(np.abs(newton_published(matrix, 15) - exact))
    assert error > 1e3


def test_iterations_whiten_the_directions_of_large_eigenvalue_first():
    # IN-1: s p^2, the variance that they give, rises towards 1, sooner for larger eigenvalues. The largest is 0.73, which 4
    # steps bring within 1e-11 of 1.
    eigenvalues = spectrum(1e4)
    matrix, basis = matrix_of_spectrum(eigenvalues)
    variances = []
    for iterations in (1, 2, 3, 4):
        root = np.asarray(newton_inverse_root(jnp.asarray(matrix), iterations))
        variances.append(eigenvalues * np.diagonal(basis.T @ root @ basis) ** 2)
    assert np.all(np.diff(variances, axis=0) > 0)
    assert np.all(np.diff(variances, axis=1) > 0)
    assert np.max(variances) < 1


@settings(max_examples=6, deadline=None)
@given(st.floats(1.0, 1e4), st.integers(0, 2**32 - 2))
def test_many_iterations_give_zca(condition, seed):
    # s p^2 grows by 9/4 per step to about 1/2, 11 steps for s = 7e-5, and 6 more square the distance from 1 to rounding. Both
    # whiten to the condition number of the covariance times a hundred roundings. Not compiled: 24 unrolled steps take seconds.
    x = batch_of_spectrum(spectrum(condition), 16, seed) + 1.0
    y = iter_norm(jnp.asarray(x), GROUP, iterations=24)
    np.testing.assert_allclose(y, compiled_zca(x), atol=100 * EPSILON * max(condition, 10))


def test_few_iterations_do_not_give_zca():
    x = batch_of_spectrum(spectrum(1e4), 16, 2)
    assert np.max(np.abs(compiled(GROUP, 5)(x) - compiled_zca(x))) > 0.1


@pytest.mark.parametrize("iterations", [1, 5])
@pytest.mark.parametrize("eps", [0.0, 0.1])
def test_groups_of_one_are_batch_norm_at_any_number_of_iterations(iterations, eps):
    # The only eigenvalue of Sigma / tr Sigma is 1, the fixed point of the iteration.
    x = np.random.default_rng(3).normal(1.0, 2.0, (16, GROUP))
    np.testing.assert_allclose(compiled(1, iterations)(x, eps=eps), jax.jit(batch_norm)(x, eps), atol=1e-12)


@pytest.mark.parametrize("iterations", [1, 5])
def test_output_covariance_has_the_eigenvalues_of_the_recursion_on_the_covariance_over_its_trace(iterations):
    # Covariance 3 times a spectrum of trace 1, eps = 0.01: S = (3 s + eps) / (3 + 8 eps), output 3 s p(S)^2 / (3 + 8 eps).
    eigenvalues, eps = spectrum(100.0), 0.01
    y = np.asarray(compiled(GROUP, iterations)(batch_of_spectrum(3 * eigenvalues, 16, 4) - 2.0, eps=eps))
    trace = 3 + GROUP * eps
    p = np.array([newton_scalar((3 * s + eps) / trace, iterations) for s in eigenvalues])
    # 3 s p(S)^2 / tr is at most 1, with the relative error of p^2: rounding / p.
    np.testing.assert_allclose(np.linalg.eigvalsh(covariance(y)), np.sort(3 * eigenvalues * p**2 / trace), atol=1e-12)


def test_iter_norm_is_invariant_to_shift_scale_and_commutes_with_rotations():
    x, rotation = batch_of_spectrum(spectrum(100.0), 16, 5), orthogonal(GROUP, 6)
    y = np.asarray(compiled(GROUP, 5)(x))
    # A polynomial of degree 121 with |dp/ds| <= p^3 / 2, p <= 1.5^5: a hundred roundings times 200.
    np.testing.assert_allclose(compiled(GROUP, 5)(7 * x - 1), y, atol=1e-11)
    np.testing.assert_allclose(compiled(GROUP, 5)(x @ rotation), y @ rotation, atol=1e-11)


def test_groups_are_whitened_one_by_one():
    x = batch_of_spectrum(spectrum(10.0), 16, 7)
    y = np.asarray(compiled(4, 2)(x))
    for group in (slice(0, 4), slice(4, 8)):
        np.testing.assert_allclose(y[:, group], compiled(4, 2)(x[:, group]), atol=1e-13)
    # Power: neighbours swapped between groups are whitened with others.
    assert np.max(np.abs(y - compiled(4, 2)(x[:, [0, 1, 2, 4, 3, 5, 6, 7]])[:, [0, 1, 2, 4, 3, 5, 6, 7]])) > 0.01


@pytest.mark.parametrize("iterations", [5, 25, 40])
def test_a_batch_smaller_than_the_group_is_whitened_in_the_directions_that_it_has(iterations):
    # Oracle: the singular value decomposition of the centred batch. In the null space of Sigma P grows by 3/2 per step and meets
    # data of a few roundings.
    x = np.random.default_rng(8).normal(size=(4, GROUP))
    left, singular, axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    s = singular[:3] ** 2 / np.sum(singular**2)
    p = np.array([newton_scalar(value, iterations) for value in s])
    y = iter_norm(jnp.asarray(x), GROUP, iterations)
    expected = 2 * (left[:, :3] * np.sqrt(s) * p) @ axes[:3]
    np.testing.assert_allclose(y, expected, atol=100 * EPSILON * 1.5**iterations)


def published_gradient(x, weights, iterations, with_trace=True):
    """Gradient of sum(weights * iter_norm(x)) by the chain rule through the paper's own steps (its algorithm 2)."""
    batch, group = x.shape
    centred = x - x.mean(axis=0)
    sigma = centred.T @ centred / batch
    trace = np.trace(sigma)
    s, p = sigma / trace, [np.eye(group)]
    for _ in range(iterations):
        p.append((3 * p[-1] - p[-1] @ p[-1] @ p[-1] @ s) / 2)
    root = p[-1] / np.sqrt(trace)
    d_root = centred.T @ weights
    d_p, d_s = d_root / np.sqrt(trace), np.zeros_like(s)
    for previous in reversed(p[:-1]):
        squared = previous @ previous
        d_s -= (squared @ previous).T @ d_p / 2
        d_p = 1.5 * d_p - (d_p @ (squared @ s).T + previous.T @ d_p @ (previous @ s).T + squared.T @ d_p @ s.T) / 2
    d_trace = -np.sum(d_s * s) / trace - np.sum(d_root * root) / (2 * trace)
    d_sigma = d_s / trace + with_trace * d_trace * np.eye(group)
    d_centred = weights @ root.T + centred @ (d_sigma + d_sigma.T) / batch
    return d_centred - d_centred.mean(axis=0)


@pytest.mark.parametrize("iterations", [1, 4])
def test_gradient_is_the_published_backward_pass(iterations):
    # IN-10. Condition number 10: the published form loses a digit or two; sums of 16 terms; gradients of order 1.
    x = batch_of_spectrum(spectrum(10.0), 16, 9)
    weights = np.random.default_rng(10).normal(size=x.shape)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(weights * compiled(GROUP, iterations)(x))))(x)
    scale = np.max(np.abs(gradient))
    np.testing.assert_allclose(gradient, published_gradient(x, weights, iterations), atol=1e-12 * scale)
    # Power: without the derivative of the trace it is another gradient.
    wrong = published_gradient(x, weights, iterations, with_trace=False)
    assert np.max(np.abs(gradient - wrong)) > 1e-3 * scale


def test_iter_norm_keeps_single_precision():
    x = batch_of_spectrum(spectrum(100.0), 16, 11).astype(np.float32)
    y = compiled(GROUP, 5)(jnp.asarray(x))
    assert y.dtype == jnp.float32
    # As for rotations, 1e-11, with a rounding of 6e-8 in place of 1.1e-16.
    np.testing.assert_allclose(y, compiled(GROUP, 5)(x.astype(np.float64)), atol=1e-11 * 2**29)


def test_iter_norm_refuses_groups_and_iterations_that_do_not_do():
    x = jnp.ones((4, 6))
    with pytest.raises(ValueError, match="must divide the number of features, got 4 for 6 features; try 2 or 3"):
        iter_norm(x, group_size=4)
    for iterations in (0, -1, 2.0, True):
        with pytest.raises(
            ValueError, match=f"`iterations` must be a positive whole number .*, got {iterations}; try 5"
        ):
            iter_norm(x, group_size=3, iterations=iterations)
