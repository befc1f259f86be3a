"""The empirical NTK of the reference networks, small, against their Jacobian; the two packages do not know each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck.empirical import empirical_ntk, empirical_ntk_jacobian, ntk_vector_product
from tests.models.small import images, small


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def logits(model, x):
    return model(x)


def relative(kernel, reference):
    kernel, reference = np.asarray(kernel), np.asarray(reference)
    return np.linalg.norm(kernel - reference) / np.linalg.norm(reference)


# Tolerances. float64: rounding, times the condition of a few layers. float32: masks that flip, see test_ntk_compiled.py.
CASES = {
    "weight mean, max-pooling": ("bottleneck", "mimic_norm", "imagenet", jnp.float64, 1e-9),
    "depthwise convolutions": ("shufflenet", "batch_norm", "cifar", jnp.float32, 1e-4),
}


@pytest.mark.parametrize(("architecture", "normalizer", "form", "dtype", "tolerance"), CASES.values(), ids=CASES)
def test_kernel_of_a_reference_network_is_that_of_its_jacobian(architecture, normalizer, form, dtype, tolerance):
    options = {"repeats": (1,)} if architecture == "shufflenet" else {}
    model, x = small(architecture, normalizer, form, dtype=dtype, **options), images(architecture, dtype=dtype)
    oracle = np.asarray(empirical_ntk_jacobian(logits, model, x))
    assert relative(empirical_ntk(logits, model, x, batch_coupled=True), oracle) < tolerance
    if normalizer == "mimic_norm":
        vector = jnp.arange(1.0, 5.0, dtype=dtype)
        assert relative(ntk_vector_product(logits, model, x, vector), oracle @ vector) < tolerance
    assert relative(oracle[::-1, ::-1], oracle) > 1e-2  # the kernel knows its samples
