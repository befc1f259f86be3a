"""Products of the NTK with vectors, and what is made of them, against the kernel itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck.empirical import empirical_ntk_jacobian, largest_eigenvalues, ntk_trace, ntk_vector_product
from tests.empirical.networks import BATCH, CASES, values

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def network():
    return CASES["batch norm"].apply, *values(CASES["batch norm"])


@pytest.fixture(scope="module")
def kernel(network):
    return np.asarray(empirical_ntk_jacobian(*network))


@pytest.mark.parametrize("name", ["batch norm", "NTK parametrisation", "a custom rule for weights"])
def test_product_with_a_vector_is_that_of_the_kernel(name):
    case = CASES[name]
    params, x = values(case)
    vector = jnp.asarray(np.random.default_rng(1).standard_normal(BATCH))
    expected = empirical_ntk_jacobian(case.apply, params, x) @ vector
    # Rounding, as in test_ntk.py.
    np.testing.assert_allclose(ntk_vector_product(case.apply, params, x, vector), expected, rtol=1e-9)


def test_products_for_single_outputs_add_up():
    case = CASES["NTK parametrisation"]
    params, x = values(case)
    vector = jnp.asarray(np.random.default_rng(1).standard_normal(BATCH))
    single = [ntk_vector_product(case.apply, params, x, vector, output=c) for c in range(2)]
    np.testing.assert_allclose(sum(single), ntk_vector_product(case.apply, params, x, vector), rtol=1e-12)
    assert np.abs(single[0] - single[1]).max() > 1e-2 * np.abs(single[0]).max()


def test_as_many_steps_as_samples_give_the_whole_spectrum(network, kernel):
    found = largest_eigenvalues(KEY, *network, count=BATCH, steps=50)
    largest = np.linalg.eigvalsh(kernel)[::-1]
    # Rounding of the matrix, relative to its largest eigenvalue.
    np.testing.assert_allclose(found.values, largest, atol=1e-9 * largest[0])
    assert found.residuals.max() < 1e-6 * largest[0]


@pytest.mark.parametrize("seed", range(3))
def test_an_eigenvalue_lies_within_the_residual_of_every_ritz_value(network, kernel, seed):
    found = largest_eigenvalues(jax.random.key(seed), *network, count=2, steps=3)
    spectrum = np.linalg.eigvalsh(kernel)
    rounding = 1e-9 * spectrum[-1]
    distance = np.abs(found.values[:, None] - spectrum).min(1)
    assert (distance <= found.residuals + rounding).all()
    assert (found.values <= spectrum[::-1][:2] + rounding).all()
    # Power: three steps leave an error that a residual a hundredth as large would not cover.
    assert (distance > found.residuals / 100 + rounding).any()


def test_trace_is_within_its_standard_errors(network, kernel):
    estimate = ntk_trace(KEY, *network, probes=400)
    assert estimate.n == 400
    assert abs(estimate.value - np.trace(kernel)) < 4 * estimate.sem
    # The standard error of a sample is sqrt(2) times the norm of the off-diagonal; 400 samples know it within 20%.
    off_diagonal = kernel - np.diag(np.diag(kernel))
    assert estimate.sem == pytest.approx(np.sqrt(2 / 400) * np.linalg.norm(off_diagonal), rel=0.2)
    # Power: the trace of the kernel with one sample's row left out is refused.
    assert abs(estimate.value - np.trace(kernel[1:, 1:])) > 4 * estimate.sem


def test_trace_over_outputs_is_the_sum_of_those_of_single_outputs():
    case = CASES["NTK parametrisation"]
    params, x = values(case)
    both, *single = (ntk_trace(KEY, case.apply, params, x, probes=3, output=c).value for c in (None, 0, 1))
    assert both == pytest.approx(sum(single), rel=1e-12)
    assert single[0] != pytest.approx(single[1], rel=1e-2)


def test_bad_input_is_refused(network):
    for output in (-1, 1):
        with pytest.raises(ValueError, match=f"`output` must be the index of one of 1 outputs.* got {output}"):
            ntk_trace(KEY, *network, output=output)
    with pytest.raises(ValueError, match="`probes` must be at least 2"):
        ntk_trace(KEY, *network, probes=1)
    with pytest.raises(ValueError, match="`steps` must be a whole number of at least 1, got 0"):
        largest_eigenvalues(KEY, *network, steps=0)
    with pytest.raises(ValueError, match="`count` must be between 1 and the number of steps, 6 for 6 samples, got 7"):
        largest_eigenvalues(KEY, *network, count=7)
    _, params, x = network
    with pytest.raises(ValueError, match="`apply` must have finite derivatives"):
        ntk_trace(KEY, lambda p, x: jnp.sqrt(0 * x @ p["first"]["w"]), params, x)
