"""The closed-form recursions against neural-tangents: its stax kernels, and its Monte Carlo over finite networks."""

import functools

import jax
import numpy as np
import pytest

from ntkcheck import meanfield, nt_adapter

DEPTHS = (1, 3, 10)
# sigma_w and sigma_b: around the critical variance of ReLU, sigma_w^2 = 2
SIGMAS = ((1.0, 0.0), (2**0.5, 0.1), (0.7, 0.5), (2.0, 0.3))
X = np.random.default_rng(0).standard_normal((6, 9))

# The library takes the angle of two inputs from s = sqrt(1 - c^2), whose square carries a rounding error of a few 2^-53: the
# angle is off by about 1e-8 at c = 1 and by 1e-16 / s elsewhere. A ReLU layer divides that by pi and adds it to its share
# of the NTK, so 10 layers cost about 1e-8 x 10 on the diagonal and, with s above 1e-4 (asserted), 1e-11 off it.
TOLERANCE = 1e-6
TOLERANCE_OFF_DIAGONAL = 1e-9


@pytest.fixture(scope="module")
def nt():
    return nt_adapter.load()


def _activation(stax, name):
    return {
        "relu": stax.Relu,
        "leaky_relu": functools.partial(stax.LeakyRelu, 0.01),  # our default slope
        "abs": stax.Abs,
        "identity": stax.Identity,
        "erf": stax.Erf,
        "gelu": stax.Gelu,
    }[name]()


@functools.cache
def _stax_kernels(nt, activation, normalizer):
    """(sigma_w, sigma_b) -> (nngp, ntk) of the readout after each depth of `DEPTHS`; compiled once for all sigmas."""
    normalizers = {"none": (), "layer_norm": (nt.stax.LayerNorm(axis=-1, eps=0.0),)}[normalizer]

    @jax.jit
    def kernels(sigma_w, sigma_b):
        dense = nt.stax.Dense(1, W_std=sigma_w, b_std=sigma_b)
        hidden_fn = nt.stax.serial(dense, *normalizers, _activation(nt.stax, activation))[2]

        def deeper(state, _):
            readout = dense[2](state)
            return hidden_fn(state), (readout.nngp, readout.ntk)

        return jax.lax.scan(deeper, hidden_fn(X, None), length=max(DEPTHS))[1]

    def at_depths(sigma_w, sigma_b):
        nngp, ntk = kernels(sigma_w, sigma_b)
        return [(nngp[depth - 1], ntk[depth - 1]) for depth in DEPTHS]

    return at_depths


def _relative_errors(kernel, expected):
    """Frobenius norms of the error relative to the kernel: of everything, and off the diagonal."""
    error, off = np.asarray(kernel - expected), ~np.eye(len(expected), dtype=bool)
    return np.linalg.norm(error) / np.linalg.norm(expected), np.linalg.norm(error[off]) / np.linalg.norm(expected[off])


def _smallest_sine(nngp):
    scale = np.sqrt(np.diag(nngp))
    correlation = np.abs(nngp / np.outer(scale, scale))[~np.eye(len(nngp), dtype=bool)]
    return np.sqrt(np.min(1 - correlation**2))


@pytest.mark.parametrize(("sigma_w", "sigma_b"), SIGMAS)
@pytest.mark.parametrize(
    ("normalizer", "activation"),
    [("none", name) for name in ("relu", "leaky_relu", "abs", "identity", "erf", "gelu")]
    + [("layer_norm", name) for name in ("relu", "erf")],
)
def test_closed_forms_agree_with_stax_kernels(nt, normalizer, activation, sigma_w, sigma_b):
    for depth, expected in zip(DEPTHS, _stax_kernels(nt, activation, normalizer)(sigma_w, sigma_b), strict=True):
        field = meanfield.propagate(X, depth, normalizer, activation, sigma_w, sigma_b)
        assert _smallest_sine(np.asarray(field.nngp)) > 1e-4
        for kernel, reference in zip(field, expected, strict=True):
            error, error_off_diagonal = _relative_errors(kernel, reference)
            assert error <= TOLERANCE, (depth, error)
            assert error_off_diagonal <= TOLERANCE_OFF_DIAGONAL, (depth, error_off_diagonal)


@pytest.mark.parametrize("normalizer", ["none", "layer_norm"])
def test_the_comparison_tells_neighbouring_networks_apart(nt, normalizer):
    """Power: sigmas off by 1e-5, a slope of 0.01, a frozen readout bias."""
    expected = _stax_kernels(nt, "relu", normalizer)(0.7, 0.5)[1]
    wrong = [
        meanfield.propagate(X, 3, normalizer, "relu", 0.7 * (1 + 1e-5), 0.5).ntk,
        meanfield.propagate(X, 3, normalizer, "relu", 0.7, 0.5 * (1 + 1e-5)).ntk,
        meanfield.propagate(X, 3, normalizer, "leaky_relu", 0.7, 0.5).ntk,
        meanfield.propagate(X, 3, normalizer, "relu", 0.7, 0.5).ntk - 0.5**2,
    ]
    for ntk in wrong:
        error, error_off_diagonal = _relative_errors(ntk, expected[1])
        assert error > 2 * TOLERANCE
        assert error_off_diagonal > 1e3 * TOLERANCE_OFF_DIAGONAL


def _monte_carlo(nt, kernel, outputs, width, groups, networks):
    """A kernel of random ReLU networks of two hidden layers: its means over `groups` disjoint groups of `networks`."""
    sigmas = {"W_std": 1.4, "b_std": 0.3}
    layers = [layer for _ in range(2) for layer in (nt.stax.Dense(width, **sigmas), nt.stax.Relu())]
    init, apply, _ = nt.stax.serial(*layers, nt.stax.Dense(outputs, **sigmas))
    counts = networks * np.arange(1, groups + 1)
    sampled = nt.monte_carlo_kernel_fn(init, apply, jax.random.key(0), n_samples=counts.tolist())
    running_means = np.array(list(sampled(X[:3], None, kernel)))
    return np.diff(running_means * counts[:, None, None], axis=0, prepend=0) / networks


@pytest.mark.parametrize(("kernel", "outputs"), [("nngp", 256), ("ntk", 1)])
def test_relu_kernels_agree_with_random_networks_within_four_standard_errors(nt, kernel, outputs):
    """Standard errors are 1.2 to 2.6% and finite width adds little.

    Means over 10000 networks of widths 32 and 64 are off the limit by at most 1.2 / width: at 256, 0.2 standard errors.
    """
    groups = _monte_carlo(nt, kernel, outputs, width=256, groups=24, networks=4)
    mean, sem = np.mean(groups, axis=0), np.std(groups, axis=0, ddof=1) / np.sqrt(len(groups))

    def worst(**changes):
        settings = {"depth": 2, "normalizer": "none", "activation": "relu", "sigma_w": 1.4, "sigma_b": 0.3} | changes
        return np.max(np.abs(mean - getattr(meanfield.propagate(X[:3], **settings), kernel)) / sem)

    assert worst() <= 4  # 6 numbers: chance below 0.4% with 23 degrees of freedom
    wrong = [{"sigma_w": 1.5}, {"sigma_b": 0.0}, {"depth": 1}, {"depth": 3}]
    assert all(worst(**changes) > 4 for changes in wrong), [worst(**changes) for changes in wrong]
