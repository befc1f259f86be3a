"""The paper's form of Newton's iteration: where it agrees with the stable form, and the map of where it breaks down."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from ntkcheck.normalizers import batch_norm, breakdown, breakdown_map, iter_norm, iter_norm_paper
from tests.normalizers.batches import batch_of_spectrum


def test_the_two_forms_agree_while_rounding_is_small():
    x = jnp.asarray(batch_of_spectrum(np.geomspace(1, 10, 8), 32, 0))
    # Amplification per step is below 3 at this condition: 3^5 dozens of roundings.
    np.testing.assert_allclose(iter_norm_paper(x, 8, 5), iter_norm(x, 8, 5), atol=1e-12)
    assert np.max(np.abs(iter_norm_paper(x, 8, 4) - iter_norm(x, 8, 5))) > 1e-4


def test_rounding_errors_grow_by_the_factor_that_perturbation_theory_gives():
    # Near convergence on diag(a, b) an error in row 1, column 2 is multiplied by 1 - (r + sqrt r) / 2, r = b / a = 4: by -2.
    with mpmath.workdps(40):
        s = mpmath.diag([mpmath.mpf(1) / 5, mpmath.mpf(4) / 5])
        p = mpmath.diag([mpmath.sqrt(5), mpmath.sqrt(mpmath.mpf(5) / 4)])
        p[0, 1] = mpmath.mpf(10) ** -15
        for _ in range(4):
            p = 1.5 * p - 0.5 * p**3 * s
        assert float(p[0, 1] * mpmath.mpf(10) ** 15) == pytest.approx(16, rel=1e-6)


def test_the_map_of_breakdown_is_that_of_the_design():
    # Condition 1e6, float64: fine at T = 5, beyond 1e3 at T = 15; float32: useless at T = 9. At condition 1 nothing breaks.
    found = {(each.condition, each.iterations, each.dtype): each for each in breakdown_map((1.0, 1e6), (5, 9, 15))}
    assert found[1e6, 5, "float64"].error < 1e-10
    assert not found[1e6, 5, "float64"].broken
    assert found[1e6, 15, "float64"].error > 1e3
    assert found[1e6, 9, "float32"].broken
    for case in found.values():
        assert case.broken == (case.reason is not None)
        assert not np.isnan(case.error)
        assert case.condition > 1 or not case.broken


def test_an_overflow_is_a_result():
    case = breakdown(1e6, 40, dtype="float32")
    assert case.error == np.inf
    assert (case.broken, case.reason) == (True, "rounding errors overflowed")


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"`condition` must be finite and at least 1, got 0.5; try 1e3"):
        breakdown(0.5, 5)
    with pytest.raises(ValueError, match=r"`iterations` must be a positive whole number .*, got 0"):
        breakdown(10.0, 0)
    with pytest.raises(ValueError, match=r"`iterations` must be a positive whole number .*, got 0"):
        iter_norm_paper(jnp.ones((4, 4)), 2, 0)
    with pytest.raises(ValueError, match=r"must divide the number of features, got 3 for 4 features"):
        iter_norm_paper(jnp.ones((4, 4)), 3)


def test_groups_of_one_and_many_steps_are_batch_norm():
    x = jnp.asarray(np.random.default_rng(1).normal(3.0, 5.0, (32, 4)))
    np.testing.assert_allclose(jax.jit(lambda x: iter_norm(x, 1, 20))(x), batch_norm(x), atol=1e-12)


def test_many_steps_have_the_gradient_of_the_exact_inverse_root():
    # Oracle: with R = Sigma^(-1/2), L = sum(w y): dL/dSigma solves R^-1 G + G R^-1 = -R (sym dL/dR) R, from R Sigma R = I; the
    # rest is the chain rule. T = 20 has converged at condition 10.
    x = batch_of_spectrum(np.geomspace(1, 10, 4), 16, 2)
    w = np.random.default_rng(3).standard_normal(x.shape)
    gradient = np.asarray(jax.jit(jax.grad(lambda x: jnp.sum(w * iter_norm(x, 4, 20))))(jnp.asarray(x)))

    def exact(by_root):
        centred = x - x.mean(axis=0)
        values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
        root = (vectors / np.sqrt(values)) @ vectors.T
        inner = vectors.T @ by_root(centred) @ vectors
        r = 1 / np.sqrt(values)
        by_sigma = vectors @ (-inner * np.outer(r, r) * np.outer(r, r) / np.add.outer(r, r)) @ vectors.T
        found = w @ root + centred @ (by_sigma + by_sigma.T) / len(x)
        return found - found.mean(axis=0)

    scale = np.abs(gradient).max()
    np.testing.assert_allclose(gradient, exact(lambda c: (c.T @ w + w.T @ c) / 2), atol=1e-10 * scale)
    # Power: without the covariance's part it is another gradient.
    assert np.abs(gradient - exact(lambda c: np.zeros((4, 4)))).max() > 1e-2 * scale
