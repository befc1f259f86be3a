import jax
import jax.numpy as jnp
import numpy as np

from ntkcheck.activations import get
from tests.activations.oracles import admissible_points, conditional_moments
from tests.activations.test_homogeneous import relative_error

POINTS = np.array(admissible_points((-1.0, -1 + 1e-12, -0.4, 0.0, 1 - 1e-14, 1.0)))

# D = 1 + 2 q1 + 2 q2 + 4 det is a sum of positive terms and the arctangent is good to 2 ulp: 10 roundings of 1.1e-16,
# and as many for the oracle.
TOLERANCE = 2.2e-15


def test_duals_equal_the_conditional_integral_at_all_admissible_points():
    exact = [conditional_moments("erf", *point) for point in POINTS]
    dual, dual_derivative = jax.jit(get("erf").duals)(*jnp.asarray(POINTS.T))
    # Odd: exactly 0 at k12 = 0, where the sum over the oracle's nodes leaves rounding.
    assert (
        relative_error(dual, [0 if point[2] == 0 else e[0] for point, e in zip(POINTS, exact, strict=True)]) < TOLERANCE
    )
    assert relative_error(dual_derivative, [e[1] for e in exact]) < TOLERANCE


def test_the_arcsine_of_the_rounded_ratio_fails_the_same_check():
    points = np.array([(1e8, 1e8, 1e8 * (1 - 1e-14)), (1e8, 1e8, 1e8)])
    exact = [conditional_moments("erf", *point)[1] for point in points]
    q1, q2, k12 = points.T
    assert relative_error(4 / np.pi / np.sqrt((1 + 2 * q1) * (1 + 2 * q2) - 4 * k12**2), exact) > 1e-9
