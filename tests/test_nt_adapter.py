"""neural-tangents through the adapter: the import leaves no trace in JAX, and every feature agrees with a hand formula."""

import functools
import importlib.util
import itertools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from ntkcheck import nt_adapter

# Every formula below is a handful of float64 operations on numbers of order 1, so rounding is about 1e-15; 1e-12 leaves
# room for the condition of the arc cosine (1e-14 at the correlations below) and of 6 x 6 solves (condition below 1e3).
TOLERANCE = 1e-12
SIGMA_W, SIGMA_B = 1.3, 0.4
SLOPES = (-0.5, 1.2)  # of ABRelu, below and above 0

X1 = np.random.default_rng(0).standard_normal((6, 5))
X2 = np.random.default_rng(1).standard_normal((4, 5))
Y = np.random.default_rng(2).standard_normal((6, 1))

FRESH_IMPORT = """
import sys
from concurrent.futures import ThreadPoolExecutor
import jax, jax.core, jax.extend.core, jax.extend.linear_util, jax.interpreters.ad
from ntkcheck import nt_adapter

def names():
    modules = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "jax"}
    public = {name: module for name, module in modules.items() if not name.startswith("jax._src")}
    return {(name, key): id(value) for name, module in public.items() for key, value in vars(module).items()}

def submodule(name, key):
    return getattr(sys.modules[name], key) is sys.modules.get(f"{name}.{key}")

def changed(before):
    after = names()
    known = {name for name, _ in before}
    return [entry for entry in before.keys() | after.keys()
            if entry[0] in known and before.get(entry) != after.get(entry)
            and not (entry not in before and submodule(*entry))]

before = names()
with ThreadPoolExecutor(8) as threads:
    loaded = set(threads.map(lambda _: nt_adapter.load(), range(8)))
assert len(loaded) == 1 and nt_adapter.load() in loaded, loaded
assert changed(before) == [], changed(before)
stray = {"tensorflow", "tf2jax", "jax.experimental.jax2tf", "jax.util", "neural_tangents.experimental"} & set(sys.modules)
assert not stray, stray
assert not hasattr(nt_adapter.load(), "experimental")
jax.core.Jaxpr = object()  # power: the same comparison sees a name that stays behind
assert changed(before) == [("jax.core", "Jaxpr")], changed(before)
"""


@pytest.fixture(scope="module")
def nt():
    return nt_adapter.load()


def test_a_fresh_threaded_import_leaves_jax_as_it_was_and_does_without_tensorflow():
    command = [sys.executable, "-W", "error::DeprecationWarning", "-c", FRESH_IMPORT]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def _forget_neural_tangents(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "neural_tangents"]:
        monkeypatch.delitem(sys.modules, name)


def test_a_missing_neural_tangents_is_named_with_its_remedy(monkeypatch):
    _forget_neural_tangents(monkeypatch)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="neural-tangents is not installed; `uv sync` installs it with the dev group"):
        nt_adapter.load()


def test_an_untried_jax_is_named_and_leaves_no_half_package_behind(monkeypatch):
    _forget_neural_tangents(monkeypatch)
    monkeypatch.delattr(jax.interpreters.ad, "UndefinedPrimal")
    for _ in range(2):  # the second call meets the same cause, not the remains of the first
        with pytest.raises(
            ImportError, match=r"0\.6\.5 cannot be imported with JAX .*UndefinedPrimal.*tried with JAX 0\.10"
        ):
            nt_adapter.load()
        assert not any(name.startswith("neural_tangents") for name in sys.modules)
    assert not hasattr(jax.core, "Jaxpr")


def _angle(k, q1, q2):
    return np.arccos(k / np.sqrt(q1 * q2))


def _relu_duals(k, q1, q2):
    """Arc-cosine kernels of order 1 and 0: Cho and Saul 2009, eqs. 4 and 6, halved."""
    angle = _angle(k, q1, q2)
    order_1 = np.sqrt(q1 * q2) * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    return order_1, (np.pi - angle) / (2 * np.pi)


def _erf_duals(k, q1, q2):
    """Williams 1997, eq. 11, and its derivative in k."""
    product = (1 + 2 * q1) * (1 + 2 * q2)
    return 2 / np.pi * np.arcsin(2 * k / np.sqrt(product)), 4 / np.pi / np.sqrt(product - 4 * k**2)


def _abrelu_duals(k, q1, q2):
    """phi(u) = a u + (b - a) relu(u), with E[u relu(v)] = k/2."""
    a, jump = SLOPES[0], SLOPES[1] - SLOPES[0]
    relu, step = _relu_duals(k, q1, q2)
    return a**2 * k + a * jump * k + jump**2 * relu, a**2 + a * jump + jump**2 * step


def _identity_duals(k, q1, q2):
    return k, np.ones_like(k)


def _one_layer_kernels(x1, x2, duals, layer_norm=False):
    def covariance(a, b):
        return SIGMA_W**2 * a @ b.T / a.shape[1] + SIGMA_B**2

    k, q1, q2 = covariance(x1, x2), np.diag(covariance(x1, x1))[:, None], np.diag(covariance(x2, x2))
    ntk = k
    if layer_norm:
        k, ntk, q1, q2 = k / np.sqrt(q1 * q2), k / np.sqrt(q1 * q2), np.ones_like(q1), np.ones_like(q2)
    dual, dual_derivative = duals(k, q1, q2)
    nngp = SIGMA_W**2 * dual + SIGMA_B**2
    return nngp, SIGMA_W**2 * ntk * dual_derivative + nngp


def _one_layer_network(stax, *hidden, outputs=1):
    dense = [stax.Dense(width, W_std=SIGMA_W, b_std=SIGMA_B) for width in (8, outputs)]
    return stax.serial(dense[0], *hidden, dense[1])


@pytest.mark.parametrize(
    ("layers", "duals", "layer_norm"),
    [
        (lambda stax: (stax.Relu(),), _relu_duals, False),
        (lambda stax: (stax.Erf(),), _erf_duals, False),
        (lambda stax: (stax.ABRelu(*SLOPES),), _abrelu_duals, False),
        (lambda stax: (stax.Identity(),), _identity_duals, False),
        (lambda stax: (stax.LayerNorm(axis=-1, eps=0.0), stax.Relu()), _relu_duals, True),
    ],
    ids=["relu", "erf", "abrelu", "identity", "layer_norm_relu"],
)
def test_stax_kernels_are_the_closed_forms(nt, layers, duals, layer_norm):
    kernel_fn = jax.jit(_one_layer_network(nt.stax, *layers(nt.stax))[2], static_argnums=2)
    nngp, ntk = _one_layer_kernels(X1, X2, duals, layer_norm)
    kernel = kernel_fn(X1, X2, ("nngp", "ntk"))
    np.testing.assert_allclose(kernel.nngp, nngp, rtol=TOLERANCE)
    np.testing.assert_allclose(kernel.ntk, ntk, rtol=TOLERANCE)
    # Power: the standard parametrisation's NTK, and the one without trained biases, are far off.
    assert np.abs(kernel.ntk - nngp - SIGMA_W**2 * (ntk - nngp)).max() > 1e-2
    assert np.abs(kernel.ntk - (ntk - SIGMA_B**2)).max() > 1e-2


def test_batched_kernels_and_kernels_without_jit_are_the_kernels(nt):
    kernel_fn = _one_layer_network(nt.stax, nt.stax.Identity())[2]
    expected = _one_layer_kernels(X1, X2, _identity_duals)[1]
    np.testing.assert_allclose(kernel_fn(X1, X2, "ntk"), expected, rtol=TOLERANCE)
    np.testing.assert_allclose(nt.batch(kernel_fn, batch_size=2)(X1, X2, "ntk"), expected, rtol=TOLERANCE)


def test_predictions_are_gradient_flow_on_the_squared_error(nt):
    """f(t) = K_ds K_ss^{-1} (I - exp(-K_ss t / n)) y, for the loss |f - y|^2 / (2 n) from f = 0."""
    train, test = (_one_layer_kernels(x, X1, _erf_duals)[1] for x in (X1, X2))
    predict = jax.jit(nt.predict.gradient_descent_mse(train, Y), static_argnums=0)
    start = (np.zeros((6, 1)), np.zeros((4, 1)))
    for time in (3.0, None):
        left = np.eye(6) if time is None else np.eye(6) - scipy.linalg.expm(-train * time / 6)
        expected = test @ np.linalg.solve(train, left @ Y)
        np.testing.assert_allclose(predict(time, *start, test)[1], expected, atol=1e3 * TOLERANCE)
    later = predict(6.0, *start, test)[1]
    assert np.abs(later - predict(3.0, *start, test)[1]).max() > 1e-3  # power: twice the learning rate


@functools.partial(jax.jit, static_argnums=0)
def _kernels_by_jacobian(apply, params, x1, x2):
    """NNGP and NTK of one network, averaged over its outputs, by contraction of plain Jacobians."""

    def jacobian(x):
        leaves = jax.tree.leaves(jax.jacobian(apply)(params, x))
        return jnp.concatenate([leaf.reshape(*leaf.shape[:2], -1) for leaf in leaves], axis=2)

    f1, f2 = apply(params, x1), apply(params, x2)
    return f1 @ f2.T / f1.shape[1], jnp.einsum("acp,bcp->ab", jacobian(x1), jacobian(x2)) / f1.shape[1]


def _plain_network(params, x, rng=None):
    hidden = jnp.tanh(x @ params[0])
    return (hidden / jnp.sqrt(jnp.mean(hidden**2, axis=1, keepdims=True))) @ params[1]


def _batch_coupled_network(params, x):
    hidden = x @ params[0]
    hidden = hidden - jnp.mean(hidden, axis=0, keepdims=True)
    return jnp.tanh(hidden / jnp.sqrt(jnp.mean(hidden**2, axis=0, keepdims=True) + 1e-3)) @ params[1]


PARAMS = [np.random.default_rng(3).standard_normal((5, 8)), np.random.default_rng(4).standard_normal((8, 2))]


IMPLEMENTATIONS = ("JACOBIAN_CONTRACTION", "NTK_VECTOR_PRODUCTS", "STRUCTURED_DERIVATIVES")


@pytest.mark.parametrize(
    ("implementation", "vmap_axes"), [*itertools.product(IMPLEMENTATIONS, (None, 0)), ("AUTO", None)]
)
def test_every_implementation_of_the_empirical_ntk_contracts_jacobians(nt, implementation, vmap_axes):
    chosen = nt.NtkImplementation[implementation]
    ntk = jax.jit(nt.empirical_ntk_fn(_plain_network, implementation=chosen, vmap_axes=vmap_axes))(X1, X2, PARAMS)
    np.testing.assert_allclose(ntk, _kernels_by_jacobian(_plain_network, PARAMS, X1, X2)[1], atol=100 * TOLERANCE)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS[1:])
def test_the_empirical_ntk_of_a_batch_coupled_network_needs_the_whole_batch(nt, implementation):
    chosen = nt.NtkImplementation[implementation]
    whole, by_sample = (
        jax.jit(nt.empirical_ntk_fn(_batch_coupled_network, implementation=chosen, vmap_axes=axes))
        for axes in (None, 0)
    )
    expected = _kernels_by_jacobian(_batch_coupled_network, PARAMS, X1, X2)[1]
    np.testing.assert_allclose(whole(X1, X2, PARAMS), expected, atol=100 * TOLERANCE)
    assert np.all(by_sample(X1, X2, PARAMS) == 0)  # the library's trap, named in the adapter's documentation


def test_structured_derivatives_work_without_jit(nt):
    def apply(params, x):
        return x @ params[0]

    ntk = nt.empirical_ntk_fn(apply, implementation=nt.NtkImplementation.STRUCTURED_DERIVATIVES)(X1, X2, PARAMS)
    np.testing.assert_allclose(ntk, X1 @ X2.T, atol=TOLERANCE)


def test_monte_carlo_kernels_average_the_kernels_of_the_networks_drawn(nt):
    drawn = []

    def init(key, shape):
        params = [jax.random.normal(key, weights.shape) for weights in PARAMS]
        jax.debug.callback(lambda *weights: drawn.append(weights), *params)
        return (*shape[:-1], 2), params

    kernel_fn = nt.monte_carlo_kernel_fn(init, _plain_network, jax.random.key(0), n_samples=3)
    kernel = kernel_fn(X1, X2, ("nngp", "ntk"))
    jax.effects_barrier()
    assert len(drawn) == 3
    kernels = [_kernels_by_jacobian(_plain_network, params, X1, X2) for params in drawn]
    for value, expected in zip((kernel.nngp, kernel.ntk), np.mean(kernels, axis=0), strict=True):
        np.testing.assert_allclose(value, expected, atol=100 * TOLERANCE)
    assert np.abs(kernel.ntk - kernels[0][1]).max() > 1e-2  # power: one network's kernel is not the average
