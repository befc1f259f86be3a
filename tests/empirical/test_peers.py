"""The empirical NTK against neural-tangents'."""

import jax
import numpy as np
import pytest

from ntkcheck import nt_adapter
from ntkcheck.empirical import empirical_ntk
from tests.empirical.networks import CASES, values


@pytest.mark.parametrize("implementation", ["JACOBIAN_CONTRACTION", "NTK_VECTOR_PRODUCTS"])
def test_kernel_of_a_batch_coupled_network_is_that_of_neural_tangents(implementation):
    case = CASES["batch norm"]
    params, x = values(case)
    library = nt_adapter.load()
    chosen = getattr(library.NtkImplementation, implementation)
    theirs = jax.jit(library.empirical_ntk_fn(case.apply, trace_axes=(-1,), vmap_axes=None, implementation=chosen))
    # Rounding, as in test_ntk.py; another parameter's share would show at 1e-3.
    np.testing.assert_allclose(empirical_ntk(case.apply, params, x), theirs(x, None, params), rtol=1e-9, atol=1e-9)
    halved = {**params, "readout": params["readout"] / 2}
    assert np.abs(empirical_ntk(case.apply, halved, x) - theirs(x, None, params)).max() > 1e-3
