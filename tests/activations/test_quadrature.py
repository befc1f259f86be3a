import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck.activations import from_function, get, truncation_error
from tests.activations.oracles import tensor_moment

Q1, Q2, K12 = 1.3, 0.6, -0.7


def softplus(t):
    return np.logaddexp(t, 0)


def sigmoid(t):
    return 1 / (1 + np.exp(-t))


@pytest.mark.parametrize(
    ("phi", "dual", "dual_derivative", "mean", "second_moment"),
    [
        (jnp.sin, lambda a, b, k: np.exp(-(a + b) / 2) * np.sinh(k), lambda a, b, k: np.exp(-(a + b) / 2) * np.cosh(k),
         lambda a: 0.0, lambda a: (1 - np.exp(-2 * a)) / 2),
        (jnp.exp, lambda a, b, k: np.exp((a + b) / 2 + k), lambda a, b, k: np.exp((a + b) / 2 + k),
         lambda a: np.exp(a / 2), lambda a: np.exp(2 * a)),
        (lambda t: t**3, lambda a, b, k: 9 * a * b * k + 6 * k**3, lambda a, b, k: 9 * (a * b + 2 * k**2),
         lambda a: 0.0, lambda a: 15 * a**3),
    ],
)  # fmt: skip
def test_expansion_equals_the_closed_form_of_entire_functions(phi, dual, dual_derivative, mean, second_moment):
    # 337 terms of rounding 1.1e-16, relative to sums at most 10 times the result: 2e-13 in the worst case.
    activation = from_function(phi, "entire", degree=64)
    values = activation.duals(*(jnp.asarray(x) for x in (Q1, Q2, K12)))
    np.testing.assert_allclose(values[0], dual(Q1, Q2, K12), rtol=2e-13)
    np.testing.assert_allclose(values[1], dual_derivative(Q1, Q2, K12), rtol=2e-13)
    np.testing.assert_allclose(activation.mean(jnp.asarray(Q1)), mean(Q1), rtol=2e-13, atol=2e-16 * 801)
    np.testing.assert_allclose(activation.second_moment(jnp.asarray(Q1)), second_moment(Q1), rtol=2e-13)


@pytest.mark.parametrize(("q1", "q2"), [(1e-4, 1e-4), (1e-4, 2.8), (2.8, 2.8)])
@pytest.mark.parametrize("c", [-1.0, -1 + 1e-12, -0.4, 0.3, 0.99, 1 - 1e-12, 1.0])
def test_default_degree_reaches_1e_10_for_tanh_up_to_the_stated_variance(q1, q2, c):
    # The bound that the docstring states; the mixture of error functions with 14 nodes is good to 3e-15.
    arguments = [jnp.asarray(x) for x in (q1, q2, c * np.sqrt(q1 * q2))]
    expansion, mixture = from_function(jnp.tanh, "tanh"), get("tanh", nodes=14)
    np.testing.assert_allclose(expansion.dual(*arguments), mixture.dual(*arguments), rtol=1e-10)
    np.testing.assert_allclose(expansion.dual_derivative(*arguments), mixture.dual_derivative(*arguments), rtol=1e-10)


def test_default_degree_reaches_1e_10_for_softplus_up_to_the_stated_variance():
    activation = from_function(jax.nn.softplus, "softplus")
    for c in (-0.9, 0.5, 1.0):
        dual, dual_derivative = activation.duals(*(jnp.asarray(x) for x in (11.0, 11.0, 11.0 * c)))
        np.testing.assert_allclose(dual, tensor_moment(softplus, softplus, 11.0, 11.0, c), rtol=1e-10)
        np.testing.assert_allclose(dual_derivative, tensor_moment(sigmoid, sigmoid, 11.0, 11.0, c), rtol=1e-10)


def test_half_the_degree_fails_the_same_check():
    arguments = [jnp.asarray(2.8)] * 3
    assert abs(from_function(jnp.tanh, "tanh", 128).dual(*arguments) / get("tanh").dual(*arguments) - 1) > 1e-10


@pytest.mark.parametrize("q", [1e-4, 1.0, 1e2])
def test_moments_of_one_variable_do_not_depend_on_the_degree(q):
    # The trapezoidal rule's error is 3e-16 for a simple pole, 5e-12 for the fourth-order pole of sech^4 (docstring; both
    # measured against the mixture) at q = 100; rounding of 801 terms is below 1e-13.
    low, mixture = from_function(jnp.tanh, "tanh", degree=4), get("tanh", nodes=14)
    np.testing.assert_allclose(low.second_moment(jnp.asarray(q)), mixture.second_moment(jnp.asarray(q)), rtol=1e-13)
    np.testing.assert_allclose(
        low.derivative_second_moment(jnp.asarray(q)), mixture.derivative_second_moment(jnp.asarray(q)), rtol=1e-11
    )


def test_truncation_error_bounds_and_attains_the_error_at_perfect_correlation():
    q = jnp.asarray(8.0)
    exact = get("tanh", nodes=14).second_moment(q)
    error = abs(from_function(jnp.tanh, "tanh").dual(q, q, q) / exact - 1)  # 1.7e-8
    np.testing.assert_allclose(truncation_error(jnp.tanh, q), error, rtol=1e-2)


def test_gradients_equal_those_of_the_mixture():
    # The expansion differentiates phi twice and uses Price's theorem, the mixture is differentiated term by term.
    point = [jnp.asarray(x) for x in (1.0, 0.5, 0.3)]
    for kind in ("dual", "dual_derivative"):
        ours = jax.grad(getattr(from_function(jnp.tanh, "tanh"), kind), argnums=(0, 1, 2))(*point)
        theirs = jax.grad(getattr(get("tanh", nodes=14), kind), argnums=(0, 1, 2))(*point)
        np.testing.assert_allclose(ours, theirs, rtol=1e-11)


def test_function_must_act_elementwise():
    with pytest.raises(ValueError, match=r"`phi` must act elementwise, got shape \(2,\)"):
        from_function(lambda t: jnp.sum(t, axis=1), "sum")


def test_degree_must_be_positive():
    with pytest.raises(ValueError, match="`degree` must be at least 1, got 0"):
        from_function(jnp.tanh, "tanh", degree=0)
