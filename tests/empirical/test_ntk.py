import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkcheck.empirical import empirical_ntk, empirical_ntk_jacobian
from ntkcheck.empirical.coupling import couples_batch
from ntkcheck.empirical.network import apply_function, init
from ntkcheck.network import make_network
from tests.empirical.networks import BATCH, CASES, GROUPS, values

# Kernels by two correct routes differ by rounding: 2.2e-16 per operation, in sums of at most a few hundred terms, times the
# condition of a few layers (1/sigma of batch norm: below 1e3 here). A share that is wrong or missing shows at 1e-3 or more.
TOLERANCE = 1e-10


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    """Small numbers, many operations: optimised programs, which test_ntk_compiled.py is about, take longer to compile."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def relative(kernel, reference):
    kernel, reference = np.asarray(kernel), np.asarray(reference)
    return np.linalg.norm(kernel - reference) / np.linalg.norm(reference)


def linear(w, x):
    return x @ w


def test_linear_network_has_the_kernel_of_its_inputs():
    # f = x W: d f_c / d W_jc = x_j, so Theta = outputs * x x^T.
    x = jnp.asarray(np.random.default_rng(0).standard_normal((BATCH, 5)))
    assert relative(empirical_ntk(linear, jnp.ones((5, 3)), x), 3 * x @ x.T) < 1e-14
    assert relative(empirical_ntk_jacobian(linear, jnp.ones((5, 3)), x), 3 * x @ x.T) < 1e-14


def test_one_hidden_layer_has_its_kernel_in_closed_form():
    # f = v . tanh(W^T x): Theta = h h^T + (s s^T) o (x x^T) with s_b = v o tanh'(W^T x_b).
    rng = np.random.default_rng(0)
    w, v, x = (jnp.asarray(rng.standard_normal(shape)) for shape in [(5, 8), (8, 1), (BATCH, 5)])
    h = np.tanh(x @ w)
    s = (1 - h**2) * v[:, 0]
    kernel = empirical_ntk(lambda p, x: jnp.tanh(x @ p[0]) @ p[1], (w, v), x)
    assert relative(kernel, h @ h.T + (s @ s.T) * (x @ x.T)) < 1e-14
    assert relative(kernel, h @ h.T) > 1e-2


@pytest.mark.parametrize("case", GROUPS.values(), ids=GROUPS.keys())
def test_kernel_equals_the_contracted_jacobian_and_probing_finds_coupled_batches(case):
    params, x = values(case)
    oracle = empirical_ntk_jacobian(case.apply, params, x)
    assert relative(empirical_ntk(case.apply, params, x), oracle) < TOLERANCE
    assert bool(couples_batch(case.apply, params, x, precision="highest")) == (case.coupled or case.general)
    if not (case.coupled or case.general):
        assert relative(empirical_ntk(case.apply, params, x, batch_coupled=True), oracle) < TOLERANCE


@pytest.mark.parametrize("normalizer", ["none", "batch_norm"])
def test_a_network_with_one_hidden_layer_has_no_share_of_the_empty_stack_behind_it(normalizer):
    network = make_network(1, normalizer, "relu", 2**0.5, 0.3)
    params, apply = init(jax.random.key(0), network, 6, 9), apply_function(network)
    assert params["hidden"]["w"].shape == (0, 9, 9)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((BATCH, 6)))
    oracle = empirical_ntk_jacobian(apply, params, x)
    assert relative(empirical_ntk(apply, params, x), oracle) < TOLERANCE
    assert relative(empirical_ntk(apply, params, x, batch_coupled=True), oracle) < TOLERANCE


def mixed(w, x):
    """What comes after the third input of a sample says how much of which sample is added to it."""
    h = jnp.tanh(x[:, :3] @ w)
    return h + x[:, 3:] @ h


def test_probing_finds_the_coupling_of_every_pair_of_samples_in_either_direction():
    for batch in (1, 2, 7):
        inputs = np.random.default_rng(0).standard_normal((batch, 3 + batch))
        for target, source in itertools.product(range(batch), repeat=2):
            inputs[:, 3:] = 0
            inputs[target, 3 + source] = 1e-9
            assert bool(couples_batch(mixed, jnp.ones((3, 2)), jnp.asarray(inputs))) == (target != source)


def test_calling_a_coupled_network_uncoupled_gives_another_matrix():
    case = CASES["batch norm"]
    params, x = values(case)
    kernel = empirical_ntk(case.apply, params, x)
    assert relative(empirical_ntk(case.apply, params, x, batch_coupled=False), kernel) > 1e-2


def test_uncoupled_route_that_is_asked_for_gives_the_same_kernel():
    case = CASES["ten outputs"]
    params, x = values(case)
    kernel = empirical_ntk(case.apply, params, x, batch_coupled=False)
    np.testing.assert_array_equal(kernel, empirical_ntk(case.apply, params, x))


def test_uncoupled_network_with_a_parameter_that_is_not_recognised_takes_the_general_route():
    case = CASES["weights used twice"]
    params, x = values(case)
    kernel = empirical_ntk(case.apply, params, x, batch_coupled=False)
    assert relative(kernel, empirical_ntk_jacobian(case.apply, params, x)) < TOLERANCE


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), name=st.sampled_from(["mlp", "batch norm", "ten outputs"]))
def test_kernel_is_symmetric_and_positive_semidefinite(seed, name):
    params, x = values(CASES[name], seed)
    kernel = np.asarray(empirical_ntk(CASES[name].apply, params, x))
    # A computed eigenvalue of a positive semidefinite matrix is above -(rounding) * norm, as is the asymmetry.
    assert np.abs(kernel - kernel.T).max() <= 1e-12 * np.abs(kernel).max()
    assert np.linalg.eigvalsh(kernel).min() >= -1e-12 * np.linalg.norm(kernel)


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(BATCH)), name=st.sampled_from(["mlp", "batch norm", "ten outputs"]))
def test_kernel_follows_a_permutation_of_the_batch(order, name):
    order = np.array(order)
    params, x = values(CASES[name])
    kernel = empirical_ntk(CASES[name].apply, params, x)
    assert relative(empirical_ntk(CASES[name].apply, params, x[order]), kernel[order][:, order]) < TOLERANCE


@pytest.mark.parametrize("name", ["batch norm", "ten outputs"])
def test_network_is_traced_once_for_all_seeds(name):
    traces = []

    def apply(params, x):
        traces.append(None)
        return CASES[name].apply(params, x)

    empirical_ntk(apply, *values(CASES[name], seed=0))
    first = len(traces)
    for seed in range(1, 4):
        empirical_ntk(apply, *values(CASES[name], seed))
    assert len(traces) == first
    empirical_ntk(apply, *values(CASES[name], dtype=np.float32))
    assert len(traces) > first


@pytest.mark.parametrize("batch_coupled", [True, False])
def test_every_matrix_product_asks_for_full_precision(batch_coupled):
    case = CASES["attention"]

    def precisions(**options):
        ntk = lambda params, x: empirical_ntk(case.apply, params, x, batch_coupled=batch_coupled, **options)  # noqa: E731
        text = str(jax.make_jaxpr(ntk)(*values(case)))
        return text.count("dot_general["), text.count("precision=(Precision.HIGHEST, Precision.HIGHEST)")

    products, full = precisions()
    assert products == full > 0
    assert precisions(precision="tensorfloat32")[1] < products


def nan_output(w, x):
    return jnp.log(-(x**2) @ w**2)


def infinite_derivative(w, x):
    return jnp.sqrt(x @ (0 * w))


def integers(w, x):
    return jnp.argmax(x @ w, axis=1, keepdims=True)


class Unhashable:
    __hash__ = None

    def __call__(self, w, x):
        return x @ w


BAD_INPUT = {
    "vector": (lambda w, x: x @ w[:, 0], None, None, r"`apply` must return .*batch = 4, got shape \(4,\)"),
    "other batch": (lambda w, x: x[1:] @ w, None, None, r"batch = 4, got shape \(3, 2\)"),
    "tuple": (lambda w, x: (x @ w, x), None, None, r"`apply` must return one array .* got a tuple"),
    "classes": (integers, None, None, r"`apply` must return floating numbers, got int"),
    "no parameters": (lambda p, x: x, {}, None, r"`params` must hold at least one array"),
    "counter": (lambda p, x: x @ p["w"], {"w": jnp.ones((3, 2)), "step": 0}, None, r"got int.* at params\['step'\]"),
    "empty batch": (linear, None, jnp.ones((0, 3)), r"`x` must hold at least one sample .* got shape \(0, 3\)"),
    "unhashable": (Unhashable(), None, None, r"`apply` must be hashable"),
    "NaN": (nan_output, None, None, r"`apply\(params, x\)` must be finite"),
    "infinite derivative": (infinite_derivative, None, None, r"must have finite derivatives"),
}


@pytest.mark.parametrize(("apply", "params", "x", "message"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_refused_with_a_reason(apply, params, x, message):
    params = jnp.ones((3, 2)) if params is None else params
    x = jnp.asarray(np.random.default_rng(0).standard_normal((4, 3))) if x is None else x
    with pytest.raises(ValueError, match=message):
        empirical_ntk(apply, params, x)
