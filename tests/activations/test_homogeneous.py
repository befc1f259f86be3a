import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck.activations import get
from ntkcheck.activations.homogeneous import homogeneous
from tests.activations.oracles import admissible_points, wedge_moments

POINTS = np.array(admissible_points())

# The determinant is exact to 2^-78 q1 q2 = 4e-24 q1 q2, that is 2e-12 of itself at 1 - |c| = 1e-12; E[relu relu] there goes
# like its power 3/2. Everything else is below 100 roundings (2e-14).
TOLERANCE = 1e-11


def relative_error(values, exact):
    exact = np.array([float(x) for x in exact])
    values = np.asarray(values)
    return np.max(np.where(exact == 0, np.abs(values), np.abs(values - exact) / np.where(exact == 0, 1, np.abs(exact))))


def rectifier_by_the_textbook(q1, q2, k12):
    theta = np.arccos(np.clip(k12 / np.sqrt(q1 * q2), -1, 1))
    return (np.sqrt(q1 * q2) * np.sin(theta) + k12 * (np.pi - theta)) / (2 * np.pi), (np.pi - theta) / (2 * np.pi)


@pytest.mark.parametrize("slope", [0.0, -1.0, 1.0, 0.01, 0.5, -0.3])
def test_duals_equal_the_integral_over_the_angle_at_all_admissible_points(slope):
    exact = [wedge_moments(slope, *point) for point in POINTS]
    dual, dual_derivative = jax.jit(homogeneous("any", slope).duals)(*jnp.asarray(POINTS.T))
    # An exact 0 (k12 = 0 of odd functions, c = -1 of the ReLU) is met to the oracle's own 1e-30.
    exact = [[x if abs(x) > 1e-25 else 0 for x in column] for column in zip(*exact, strict=True)]
    assert relative_error(dual, exact[0]) < TOLERANCE
    assert relative_error(dual_derivative, exact[1]) < TOLERANCE


def test_the_textbook_formula_fails_the_same_check():
    exact = [wedge_moments(0.0, *point) for point in POINTS if abs(point[2]) < np.sqrt(point[0] * point[1])]
    points = [point for point in POINTS if abs(point[2]) < np.sqrt(point[0] * point[1])]
    dual, dual_derivative = rectifier_by_the_textbook(*np.array(points).T)
    assert relative_error(dual, [e[0] for e in exact]) > 1e-6
    assert relative_error(dual_derivative, [e[1] for e in exact]) > 1e-6


def test_derivatives_on_the_boundary_are_those_of_the_limit():
    # R = E[relu relu]: at c = 1, dR/dk = 1/2 and dR/dq = 0; at c = -1 all vanish.
    gradient = jax.jit(jax.grad(get("relu").dual, argnums=(0, 1, 2)))
    np.testing.assert_array_equal(gradient(*jnp.array([3.0, 3.0, 3.0])), [0.0, 0.0, 0.5])
    np.testing.assert_array_equal(gradient(*jnp.array([3.0, 3.0, -3.0])), [0.0, 0.0, 0.0])
    np.testing.assert_array_equal(gradient(*jnp.array([3.0, 0.0, 0.0])), [0.0, 0.0, 0.25])


def test_second_derivatives_are_finite_inside():
    hessian = jax.jit(jax.hessian(lambda z: get("relu").dual(z[0], z[1], z[2])))(jnp.array([1.0, 1.0, 0.5]))
    # d^2 R / dk^2 = 1 / (2 pi s), s = sqrt(3)/2; one rounding each.
    np.testing.assert_allclose(hessian[2, 2], 1 / (2 * np.pi * np.sqrt(0.75)), rtol=1e-15)
    assert np.all(np.isfinite(hessian))


def test_slope_must_be_finite():
    with pytest.raises(ValueError, match="`slope` must be finite, got nan"):
        get("leaky_relu", slope=float("nan"))
