import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck.empirical.backward import suited_to_cpu

X = jax.random.normal(jax.random.key(0), (3, 4, 5, 6))


def stacked(x):
    return jax.lax.scan(lambda total, row: (total + row.sum(0), jax.jit(lambda r: r.sum(1))(row)), jnp.zeros((5, 6)), x)


@pytest.mark.parametrize(
    ("function", "sums_left"),
    [
        (lambda x: x.sum(0), 0),
        (lambda x: x.sum(1, keepdims=True), 0),
        (lambda x: {"a": x.sum((0, 1, 2)), "b": x.mean((1, 2))}, 0),
        (stacked, 0),
        (lambda x: x.sum(), 1),
        (lambda x: x.sum(-1), 1),
        (lambda x: x.sum((0, 2)), 1),
        (lambda x: (x > 0).sum(1), 1),
    ],
)
def test_inner_sums_become_products_of_the_same_value(function, sums_left):
    rewritten = suited_to_cpu(function)
    jaxpr = str(jax.make_jaxpr(rewritten)(X))
    assert jaxpr.count("reduce_sum[") == sums_left
    # Sums of at most 60 terms of order 1, in another order: 60 * 2.2e-16.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-14), rewritten(X), function(X))


def test_sign_is_changed_behind_the_sum():
    def function(x):
        return (-x).sum(0), (-x).sum(-1)

    rewritten = suited_to_cpu(function)
    steps = [eqn.primitive.name for eqn in jax.make_jaxpr(rewritten)(X).jaxpr.eqns]
    assert steps.index("dot_general") < max(i for i, name in enumerate(steps) if name == "neg")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-14), rewritten(X), function(X))


def test_convolutions_of_the_backward_pass_have_channels_last():
    kernel = X[:, :, :2, :2].transpose(1, 0, 2, 3)

    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(x, kernel, (2, 1), [(1, 0), (0, 2)], rhs_dilation=(1, 2)).mean()

    gradient = jax.grad(convolve, (0, 1))
    x = X.transpose(1, 0, 2, 3)
    rewritten = suited_to_cpu(gradient)
    jaxpr = str(jax.make_jaxpr(rewritten)(x, kernel))
    assert jaxpr.count("conv_general_dilated[") == jaxpr.count("lhs_spec=(0, 3, 1, 2), rhs_spec=(3, 2, 0, 1)") > 0
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-14), rewritten(x, kernel), gradient(x, kernel))
