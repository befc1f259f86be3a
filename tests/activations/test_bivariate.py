import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import atan2, mp, mpf

from ntkcheck.activations.bivariate import arc_cosine, arc_sine, determinant

ANGLES = np.concatenate([np.geomspace(1e-300, 1, 200), 1 / np.geomspace(1e-300, 1, 200)])

# Every result is at most a division, a polynomial below 1 ulp and three additions of which the largest term is the result;
# J_1 next to the middle octant's edge subtracts 0.39 from 0.41 (20-fold): 40 roundings of 1.1e-16.
TOLERANCE = 5e-15


def exact_kernels(k, s):
    with mp.workdps(700):  # k J_0 cancels s down to (s / k)^2 of itself: 600 digits at s / k = 1e-300
        j0 = atan2(mpf(s), -mpf(k))
        return float(atan2(mpf(k), mpf(s))), float(j0), float(mpf(s) + mpf(k) * j0)


def test_angles_keep_their_relative_precision_in_every_octant():
    k, s = np.concatenate([ANGLES, -ANGLES]), np.ones(2 * ANGLES.size)
    exact = np.array([exact_kernels(*pair) for pair in zip(k, s, strict=True)]).T
    j0, r_j1 = arc_cosine(jnp.asarray(k), jnp.asarray(s))
    normal = np.abs(exact[2]) > 1e-290  # below, (s / k)^2 leaves the range of float64
    np.testing.assert_allclose(arc_sine(jnp.asarray(k), jnp.asarray(s)), exact[0], rtol=TOLERANCE)
    np.testing.assert_allclose(j0, exact[1], rtol=TOLERANCE)
    np.testing.assert_allclose(r_j1[normal], exact[2][normal], rtol=TOLERANCE)


def test_library_arctangent_fails_the_same_check_near_opposite_inputs():
    k, s = -1.0, 1e-5
    assert abs((s + k * float(jnp.arctan2(s, -k))) / exact_kernels(k, s)[2] - 1) > 1e-8


compiled = jax.jit(determinant)  # contracts products and sums where it can
positive = st.floats(1e-100, 1e100)


@settings(deadline=None)  # the first call compiles
@given(q1=positive, q2=positive, c=st.floats(-1, 1), nearness=st.floats(0, 1e-10))
def test_determinant_is_exact_to_two_to_the_minus_77(q1, q2, c, nearness):
    root = float(np.sqrt(q1) * np.sqrt(q2))
    for k12 in (c * root, (1 - nearness) * root, root):
        with mp.workdps(40):
            exact = max(mpf(q1) * mpf(q2) - mpf(k12) ** 2, mpf(0))
            error = abs(mpf(float(compiled(*jnp.array([q1, q2, k12])))) - exact)
            # One rounding of the result itself, and the middle terms' 2^-53 of 2^-25 (twice).
            assert error <= exact * 2**-52 + mpf(q1) * mpf(q2) * 2**-77


def test_rounded_determinant_fails_the_same_check():
    q, k12 = 1 / 3, 1 / 3 - 2e-16
    with mp.workdps(40):
        exact = mpf(q) ** 2 - mpf(k12) ** 2
        assert abs(mpf(q * q - k12 * k12) - exact) > exact * 2**-52 + mpf(q) ** 2 * 2**-77


def test_derivatives_equal_those_of_the_plain_formulas():
    x = jnp.array([1.3, 0.7, -0.4])
    plain = jax.jacobian(lambda x: x[0] * x[1] - x[2] ** 2)(x)
    np.testing.assert_allclose(jax.jacobian(lambda x: determinant(*x))(x), plain, rtol=1e-15)
    for k in (-0.9, -0.3, 0.2, 3.0):
        j0, r_j1 = jax.jacobian(lambda z: arc_cosine(z[0], z[1]))(jnp.array([k, 0.5]))
        plain_j0, plain_j1 = jax.jacobian(lambda z: (jnp.arctan2(z[1], -z[0]), z[1] + z[0] * jnp.arctan2(z[1], -z[0])))(
            jnp.array([k, 0.5])
        )
        # The plain second one cancels up to 10-fold.
        np.testing.assert_allclose(j0, plain_j0, rtol=1e-14)
        np.testing.assert_allclose(r_j1, plain_j1, rtol=1e-14)
