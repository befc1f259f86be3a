"""The empirical NTK as an optimised program: precision, memory, and the caller's own transformations."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck.empirical import empirical_ntk, empirical_ntk_jacobian
from tests.empirical.networks import CASES, values


def relative(kernel, reference):
    kernel, reference = np.asarray(kernel), np.asarray(reference)
    return np.linalg.norm(kernel - reference) / np.linalg.norm(reference)


@pytest.mark.parametrize("name", ["custom derivatives", "scan of layers with batch norm"])
def test_float32_kernel_is_near_the_float64_one(name):
    # Rounding of 6e-8, times 1e2 for the layers; where a ReLU's argument changes sign in float32 its mask flips, which moves a
    # kernel of few neurons by up to 1e-4.
    case = CASES[name]
    params, x = values(case, dtype=np.float32)
    kernel = empirical_ntk(case.apply, params, x)
    assert kernel.dtype == jnp.float32
    double = jax.tree.map(lambda leaf: leaf.astype(np.float64), (params, x))
    assert relative(kernel, empirical_ntk_jacobian(case.apply, *double)) < 1e-4


def test_kernel_is_the_same_inside_jit_and_vmap():
    case = CASES["ten outputs"]
    seeds = [values(case, seed) for seed in range(3)]
    kernels = np.stack([empirical_ntk(case.apply, *seed) for seed in seeds])
    jitted = jax.jit(lambda params, x: empirical_ntk(case.apply, params, x))(*seeds[0])
    batched = jax.vmap(lambda params, x: empirical_ntk(case.apply, params, x))(
        *jax.tree.map(lambda *a: np.stack(a), *seeds)
    )
    # Two programs for the same sums: rounding, as in test_ntk.py.
    assert relative(jitted, kernels[0]) < 1e-10
    assert relative(batched, kernels) < 1e-10


def temporary_memory(ntk, width):
    """Bytes that the compiled kernel of a batch-normalised MLP takes, float32, without running it."""

    def apply(params, x):
        for w in params[:-1]:
            h = x @ w
            centred = h - h.mean(0, keepdims=True)
            x = jax.nn.relu(centred * jax.lax.rsqrt((centred**2).mean(0, keepdims=True)))
        return x @ params[-1]

    sizes = [64, width, width, width, 1]
    params = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in itertools.pairwise(sizes)]
    x = jax.ShapeDtypeStruct((16, 64), jnp.float32)
    compiled = jax.jit(lambda params, x: ntk(apply, params, x)).lower(params, x).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def test_memory_grows_linearly_in_width_and_that_of_the_jacobian_quadratically():
    widths = [256, 512, 1024]

    def exponent(ntk):
        return np.polyfit(np.log(widths), np.log([temporary_memory(ntk, width) for width in widths]), 1)[0]

    assert exponent(empirical_ntk) < 1.3
    assert exponent(empirical_ntk_jacobian) > 1.7
