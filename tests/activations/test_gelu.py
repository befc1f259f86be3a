import jax
import jax.numpy as jnp
import numpy as np

from ntkcheck.activations import get
from tests.activations.oracles import admissible_points, conditional_moments
from tests.activations.test_homogeneous import relative_error

POINTS = np.array(admissible_points((-1.0, -1 + 1e-12, -0.4, 0.0, 1 - 1e-14, 1.0)))

# The form used cancels at most 20-fold (k12 J_0 against sqrt D at sqrt D / |k12| = 1/2), the determinant loses nothing
# (D >= 1 dominates it where it is small): 100 roundings of 1.1e-16. No point lies near the dual's sign change. The dual
# derivative at q = (1e8, 1e4), c = -1 is 1e-4 of the parts of the integral that cancel in it, so the oracle, with nodes
# in float64, has 1e-16 / 1e-4 = 1e-12 there; ten times that.
TOLERANCE, DERIVATIVE_TOLERANCE = 1.1e-14, 1e-11


def test_duals_equal_the_conditional_integral_at_all_admissible_points():
    exact = [conditional_moments("gelu", *point) for point in POINTS]
    dual, dual_derivative = jax.jit(get("gelu").duals)(*jnp.asarray(POINTS.T))
    assert relative_error(dual, [e[0] for e in exact]) < TOLERANCE
    assert relative_error(dual_derivative, [e[1] for e in exact]) < DERIVATIVE_TOLERANCE


def test_the_single_form_of_the_kernel_fails_the_same_check():
    q = 1e8
    exact, _ = conditional_moments("gelu", q, q, -q)
    root, inverses = np.sqrt(1 + 2 * q), 2 / (1 + q)
    naive = (-q * np.arctan2(root, q) + q**2 * inverses / root) / (2 * np.pi)
    assert relative_error([naive], [exact]) > 1e-10


def test_mean_and_second_moment_at_unit_variance():
    # E[u Phi(u)] = P(z < u) differentiated: 1 / (2 sqrt(pi)). E[phi^2] is the conditional integral at c = 1.
    np.testing.assert_allclose(get("gelu").mean(jnp.array(1.0)), 0.5 / np.sqrt(np.pi), rtol=1e-15)
    exact = conditional_moments("gelu", 1.0, 1.0, 1.0)
    np.testing.assert_allclose(get("gelu").second_moment(jnp.array(1.0)), float(exact[0]), rtol=TOLERANCE)
    np.testing.assert_allclose(get("gelu").derivative_second_moment(jnp.array(1.0)), float(exact[1]), rtol=TOLERANCE)
