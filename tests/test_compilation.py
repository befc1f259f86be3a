import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck import compilation
from ntkcheck.compilation import compiled, known_options


@pytest.fixture
def fresh_options():
    known_options.cache_clear()
    yield
    known_options.cache_clear()


def summed_product(a, c):
    return (a * (a @ jnp.broadcast_to(c, a.shape))).sum((1, 2))


def test_product_with_a_broadcast_operand_is_right():
    # XLA's default on the CPU returns uninitialised memory here (jaxlib 0.10.2), of any size.
    a = jax.random.normal(jax.random.key(0), (5, 60, 60))
    expected = (a * a.sum(2, keepdims=True) * 1.3).sum((1, 2))
    np.testing.assert_allclose(compiled()(summed_product)(a, 1.3), expected, rtol=1e-10)


def test_function_that_is_part_of_another_program_is_compiled_with_it():
    double = compiled("factor")(lambda x, factor: factor * x)
    assert double(1.0, factor=2) == jax.jit(lambda x: double(x, factor=2))(1.0) == 2


@pytest.mark.usefixtures("fresh_options")
def test_option_that_the_compiler_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setattr(compilation, "SINGLE_PRODUCTS", {"xla_no_such_option": ""})
    assert known_options() == {}


@pytest.mark.usefixtures("fresh_options")
def test_option_is_known():
    assert known_options() == compilation.SINGLE_PRODUCTS
