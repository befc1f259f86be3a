import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkcheck.activations import Activation, from_function, get, names

ACTIVATIONS = {name: get(name) for name in names()} | {
    "softplus": from_function(jax.nn.softplus, "softplus", degree=64)
}
every_activation = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS.keys())
variance = st.floats(1e-3, 2.0)
correlation = st.floats(-1, 1)

# Closed forms: tens of roundings. tanh at 10 nodes: 7e-12. softplus at degree 64: a truncation error of 1e-14 up to q = 2.
ACCURACY = 2e-11


@functools.cache
def compiled(activation: Activation):
    return jax.jit(activation.duals)


@functools.cache
def compiled_moments(activation: Activation):
    """q -> (mean, second moment, second moment of the derivative)."""
    return jax.jit(lambda q: (activation.mean(q), activation.second_moment(q), activation.derivative_second_moment(q)))


def duals(activation, q1, q2, c):
    return np.array(compiled(activation)(q1, q2, c * np.sqrt(q1 * q2)))


@every_activation
@settings(max_examples=30, deadline=None)
@given(q1=variance, q2=variance, c=correlation)
def test_duals_are_symmetric(activation, q1, q2, c):
    np.testing.assert_allclose(duals(activation, q1, q2, c), duals(activation, q2, q1, c), rtol=ACCURACY, atol=1e-15)


@every_activation
@settings(max_examples=30, deadline=None)
@given(q1=variance, q2=variance, c=correlation)
def test_duals_obey_cauchy_schwarz(activation, q1, q2, c):
    bounds = np.sqrt(np.array(compiled_moments(activation)(q1)[1:]) * np.array(compiled_moments(activation)(q2)[1:]))
    assert np.all(np.abs(duals(activation, q1, q2, c)) <= bounds * (1 + ACCURACY))


@every_activation
@settings(max_examples=20, deadline=None)
@given(q1=variance, q2=variance)
def test_uncorrelated_dual_is_the_product_of_means(activation, q1, q2):
    product = compiled_moments(activation)(q1)[0] * compiled_moments(activation)(q2)[0]
    np.testing.assert_allclose(duals(activation, q1, q2, 0.0)[0], product, rtol=ACCURACY, atol=1e-16)


@every_activation
@settings(max_examples=20, deadline=None)
@given(q=variance)
def test_dual_of_equal_inputs_is_the_second_moment(activation, q):
    moments = compiled_moments(activation)(q)[1:]
    np.testing.assert_allclose(compiled(activation)(q, q, q), moments, rtol=ACCURACY)
    # A covariance that rounding pushed 4 ulp out of the domain; sqrt(det) = 4e-8 would show if it were not projected.
    np.testing.assert_allclose(compiled(activation)(q, q, q * (1 + 1e-15)), moments, rtol=ACCURACY)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "identity", "erf", "tanh", "softplus"])
@settings(max_examples=30, deadline=None)
@given(q1=variance, q2=variance, c=st.tuples(correlation, correlation))
def test_dual_of_an_increasing_function_increases_with_the_covariance(name, q1, q2, c):
    low, high = (duals(ACTIVATIONS[name], q1, q2, x)[0] for x in sorted(c))
    assert low <= high + 1e-15


def test_dual_of_abs_does_not_increase_with_the_covariance():
    assert duals(ACTIVATIONS["abs"], 1.0, 1.0, -1.0)[0] > duals(ACTIVATIONS["abs"], 1.0, 1.0, 0.0)[0] + 0.1


@every_activation
@settings(max_examples=15, deadline=None)
@given(q1=variance, q2=variance, c=st.floats(-0.9, 0.9))
def test_dual_derivative_is_the_derivative_of_the_dual(activation, q1, q2, c):
    # Price's theorem, by central differences of fourth order: rounding 1e-16 / step = 1e-13 of the scale, truncation
    # step^4 / 30 times the fifth derivative, at most 1e3 for |c| <= 0.9: 3e-11.
    step = 1e-3
    values = [duals(activation, q1, q2, c + m * step)[0] for m in (-2, -1, 1, 2)]
    slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step * np.sqrt(q1 * q2))
    np.testing.assert_allclose(slope, duals(activation, q1, q2, c)[1], rtol=1e-9, atol=1e-9)


@every_activation
@pytest.mark.parametrize("order", [0, 1])
def test_gradients_equal_finite_differences(activation, order):
    # As above; step 1e-3 at unit scale and fifth derivatives of at most 1e3.
    point, step = np.array([1.0, 1.4, 0.5]), 1e-3
    gradient = jax.jit(jax.grad(lambda z: activation.duals(z[0], z[1], z[2])[order]))(jnp.asarray(point))
    for axis in range(3):
        values = [compiled(activation)(*(point + m * step * np.eye(3)[axis]))[order] for m in (-2, -1, 1, 2)]
        difference = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
        np.testing.assert_allclose(gradient[axis], difference, rtol=1e-9, atol=1e-9)


@every_activation
def test_derivative_of_the_second_moment_is_the_total_derivative_of_the_dual(activation):
    one = jnp.asarray(1.0)
    total = sum(jax.jit(jax.grad(activation.dual, argnums=(0, 1, 2)))(one, one, one))
    np.testing.assert_allclose(jax.jit(jax.grad(activation.second_moment))(one), total, rtol=ACCURACY)


@every_activation
def test_zero_variance_gives_the_limit(activation):
    zero, q = jnp.asarray(0.0), jnp.asarray(0.7)
    at_zero, mean = activation.phi(zero), compiled_moments(activation)(q)[0]
    (mixed, mixed_derivative), (both, _) = compiled(activation)(zero, q, zero), compiled(activation)(zero, zero, zero)
    moments = compiled_moments(activation)(zero)
    limits = [at_zero * mean, at_zero**2, at_zero, at_zero**2]
    np.testing.assert_allclose([mixed, both, *moments[:2]], limits, rtol=ACCURACY, atol=1e-16)
    assert np.all(np.isfinite([mixed_derivative, moments[2]]))
    assert np.all(np.isfinite(jax.jit(jax.grad(activation.dual, argnums=(0, 1, 2)))(zero, q, zero)))


@every_activation
def test_single_precision_stays_single_and_agrees_with_double(activation):
    points = np.array([(1.0, 0.5, 0.3), (1.0, 1.0, 1.0), (2.0, 0.1, -0.44), (0.3, 0.3, 0.299)]).T
    single = compiled(activation)(*jnp.asarray(points, jnp.float32))
    double = compiled(activation)(*jnp.asarray(points.astype(np.float32), jnp.float64))
    for low, high in zip(single, double, strict=True):
        assert low.dtype == jnp.float32
        # 20-fold cancellation at most (see test_gelu), 100 roundings of 6e-8; sums of 64 terms for softplus.
        np.testing.assert_allclose(low, high, rtol=6e-6, atol=6e-7)
    q = jnp.asarray(0.7, jnp.float32)
    assert {moment.dtype for moment in compiled_moments(activation)(q)} == {jnp.dtype("float32")}


@every_activation
def test_kernel_of_a_batch_is_positive_semi_definite(activation):
    x = jax.random.normal(jax.random.key(0), (12, 5))
    k = x @ x.T / 5
    q = jnp.diagonal(k)
    for kernel in compiled(activation)(q[:, None], q[None, :], k):
        # Rounding of each entry, 1e-11 for tanh, times the size of the matrix.
        assert np.linalg.eigvalsh(kernel)[0] > -12 * ACCURACY * np.max(np.abs(kernel))


def test_an_activation_is_a_static_argument_that_compiles_once():
    traces = []

    @functools.partial(jax.jit, static_argnums=0)
    def dual(activation, q):
        traces.append(activation.name)
        return activation.dual(q, q, q)

    for name, parameters in (
        ("relu", {}),
        ("relu", {}),
        ("leaky_relu", {"slope": 0.2}),
        ("leaky_relu", {"slope": 0.2}),
    ):
        dual(get(name, **parameters), jnp.asarray(1.0))
    assert traces == ["relu", "leaky_relu"]


def test_slope_marks_the_homogeneous_activations():
    slopes = {name: get(name).slope for name in names()}
    assert slopes == {
        "relu": 0.0, "leaky_relu": 0.01, "abs": -1.0, "identity": 1.0, "erf": None, "tanh": None, "gelu": None,
    }  # fmt: skip
    t = jnp.array([-2.0, 3.0])
    for name, slope in slopes.items():
        if slope is not None:
            np.testing.assert_array_equal(get(name).phi(t), [slope * -2.0, 3.0])


def test_an_activation_is_returned_as_it_is():
    assert get(get("erf")) is get("erf")


def test_unknown_names_and_parameters_are_refused():
    with pytest.raises(ValueError, match=r"`activation` must be one of relu, .*did you mean 'relu'"):
        get("rellu")
    with pytest.raises(ValueError, match=r"`slope` must be left out, got 0\.1: relu has no parameters"):
        get("relu", slope=0.1)
    with pytest.raises(ValueError, match="`parameter of tanh` must be one of nodes, got 'degree'"):
        get("tanh", degree=3)
    with pytest.raises(ValueError, match="`slope` must be left out"):
        get(get("leaky_relu"), slope=0.1)
