"""BatchNorm behind the last layer: its NTK against the closed form of its Jacobian, and its scale by homogeneity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck import claims
from ntkcheck.claims import last_layer
from ntkcheck.claims.last_layer import FACTORS, WITH, WITHOUT, behind_batch_norm, dense_spectra, largest_eigenvalues
from ntkcheck.empirical import empirical_ntk
from ntkcheck.empirical.network import apply_function, init
from ntkcheck.network import make_network
from ntkcheck.normalizers import batch_norm
from tests.claims.made_up import made_up

DEPTH = 3


def test_the_kernel_behind_batch_norm_is_that_of_the_printed_jacobian():
    rng = np.random.default_rng(0)
    f, root = rng.standard_normal((2, 6)), rng.standard_normal((2, 6, 6))
    ntk = root @ root.swapaxes(1, 2)
    found = np.asarray(behind_batch_norm(jnp.asarray(f), jnp.asarray(ntk)))
    for values, kernel, result in zip(f, ntk, found, strict=True):
        centred = values - values.mean()
        sigma = np.sqrt(np.mean(centred**2))
        J = (np.eye(6) - 1 / 6 - np.outer(centred, centred) / 6 / sigma**2) / sigma
        # Float64, a dozen roundings in entries of order 1 to 10.
        assert result == pytest.approx(J @ kernel @ J, abs=1e-12)
        assert np.abs(result - kernel).max() > 0.1  # power


def test_the_kernel_is_that_of_the_network_with_batch_norm_behind_it():
    network = make_network(DEPTH, "none", "relu", 2**0.5)
    apply = apply_function(network)
    x, params = jax.random.normal(jax.random.key(0), (6, 5)), init(jax.random.key(1), network, 5, 16)
    found = behind_batch_norm(apply(params, x).T, empirical_ntk(apply, params, x))[0]
    whole = empirical_ntk(lambda params, x: batch_norm(apply(params, x)), params, x, batch_coupled=True)
    # Float64, sums of a few hundred products: 1e-14 of the largest entry.
    assert np.asarray(found) == pytest.approx(np.asarray(whole), abs=1e-12 * float(jnp.abs(whole).max()))


def by_scale():
    """Exponents in the scale of all weights of the largest eigenvalues with and without BatchNorm, of two small networks."""
    found = [
        largest_eigenvalues(jax.random.key(0), width=16, batches=(8,), scale=factor, networks=2, depth=DEPTH, seed=0)
        for factor in FACTORS
    ]
    assert [m.quantity for m in found[0]] == [f"{WITH}_8", f"{WITHOUT}_8"]
    values = np.array([[m.estimate.value for m in measurements] for measurements in found])
    return np.polyfit(np.log(FACTORS), np.log(values).reshape(len(FACTORS), -1), 1)[0].reshape(2, 2)


def test_by_homogeneity_the_eigenvalue_falls_with_the_weights_behind_batch_norm_and_rises_without():
    bounds = next(test for test in claims.load()["MN-9"].tests if test.name == "spectrum_exponent_dense")
    behind, straight = by_scale()
    # f is of degree DEPTH + 1 in the weights, its gradients of one less, the NTK of twice that; roundings of 1e-13 in logarithms.
    assert behind == pytest.approx(-2, abs=1e-9)
    assert straight == pytest.approx(2 * DEPTH, abs=1e-9)
    assert ((bounds.low <= behind) & (behind <= bounds.high)).all()
    assert not ((bounds.low <= straight) & (straight <= bounds.high)).any()  # power


def law(peak):
    """Largest eigenvalues that fall with the scale; at one width and batch size the ratio is `peak`, elsewhere 1/10."""

    def eigenvalues(width, batches, scale, **_):
        ratios = {m: peak if (width, m) == (last_layer.WIDTHS[1], last_layer.BATCHES[2]) else 0.1 for m in batches}
        behind = {f"{WITH}_{m}": ratio * scale**-2 for m, ratio in ratios.items()}
        return behind | {f"{WITHOUT}_{m}": 1.0 for m in batches}

    return eigenvalues


def test_the_worst_of_widths_and_batches_answers():
    found = dense_spectra(made_up(largest_eigenvalues=law(0.5)))
    worst = found["log_spectrum_ratio_dense"]
    # Noise of 1e-3 in each of 8 sets.
    assert worst is not None
    assert worst.value == pytest.approx(np.log10(0.5), abs=4 * worst.sem)
    power = dense_spectra(made_up(largest_eigenvalues=law(2.0)))["log_spectrum_ratio_dense"]
    assert power is not None
    assert power.value == pytest.approx(np.log10(2), abs=4 * power.sem)
    stated = {test.name: (test.low, test.high) for test in claims.load()["MN-9"].tests}
    assert worst.value < stated["log_spectrum_ratio_dense"][1] < power.value


def test_networks_that_are_not_measured_are_no_answer():
    assert set(dense_spectra(made_up()).values()) == {None}
