"""The regime's quantities in infinite width against closed forms that are written down here."""

import functools

import numpy as np
import pytest

from ntkcheck.regime import theory
from ntkcheck.regime.theory import settled, share_near_zero, stationary
from tests.regime import TINY, experiment, numbers_and_curves

DEPTH = TINY.depth
CHI = np.pi / (np.pi - 1)
# The variance of a copy and its covariance with the original may differ by a rounding, 1e-16: their angle is 2e-8, not 0.
COPY = 1e-7


@functools.cache
def measured(name, **changes):
    return numbers_and_curves(theory.measure(experiment(normalizers=(name,), **changes), name))


def values(name, **changes):
    return {quantity: m.estimate.value for quantity, m in measured(name, **changes)[0].items()}


def input_pairs(centred=False):
    """Correlations of the first TINY.pairs input pairs."""
    x = experiment().batches
    x = x - x.mean(2, keepdims=True) if centred else x
    unit = x / np.linalg.norm(x, axis=2, keepdims=True)
    return np.sum(unit[:, 0::2] * unit[:, 1::2], axis=2).ravel()[: TINY.pairs]


def relu_map(rho, shift=0.0):
    dual = (np.sqrt(1 - rho**2) + (np.pi - np.arccos(rho)) * rho) / np.pi
    return (dual - shift) / (1 - shift)


def iterated(rho, shift=0.0):
    """Correlations of the pre-activations of every hidden layer."""
    layers = [rho]
    for _ in range(DEPTH - 1):
        layers.append(relu_map(layers[-1], shift))
    return np.array(layers)


@pytest.mark.parametrize(
    ("name", "slope", "second_moment", "gradient"), [("none", 1, 1, 1), ("weight_mean", CHI, 1 - 1 / np.pi, 1)]
)
def test_growth_is_that_of_the_closed_forms(name, slope, second_moment, gradient):
    found = values(name)
    assert found["correlation_slope"] == pytest.approx(slope, rel=COPY)
    assert found["second_moment_growth"] == pytest.approx(second_moment, rel=1e-13)
    assert found["gradient_growth"] == pytest.approx(gradient, rel=1e-13)


@pytest.mark.parametrize(("name", "shift"), [("none", 0.0), ("weight_mean", 1 / np.pi)])
def test_correlations_follow_the_map_from_the_inputs_on(name, shift):
    rho = iterated(input_pairs(centred=name == "weight_mean"), shift)
    found, curves = measured(name)
    np.testing.assert_allclose(curves["correlation_through_depth"].value, rho.mean(1), rtol=1e-12)
    np.testing.assert_array_equal(curves["correlation_through_depth"].at, np.arange(1, DEPTH + 1))
    assert found["pair_correlation"].estimate.value == pytest.approx(rho[-1].mean(), rel=1e-12)
    assert found["share_near_zero"].estimate.value == (np.abs(rho[DEPTH // 2 :]) <= 0.2).mean()


def test_the_ntk_of_a_straight_network_is_its_sum_over_layers():
    # Theta_l+1 = sigma_w^2 Theta_l o E[phi' phi'] + K_l+1, on unit-free correlations: all variances are those of the inputs.
    x = experiment().batches[0]
    length = np.sqrt(np.sum(x**2, axis=1) * 2 / x.shape[1])
    rho = np.clip(x @ x.T / np.outer(*[np.linalg.norm(x, axis=1)] * 2), -1, 1)
    ntk, ratios = rho, []
    for _ in range(DEPTH + 1):
        full = ntk * np.outer(length, length)
        ratios.append((full.sum() - np.trace(full)) / (len(x) - 1) / np.trace(full))
        ntk, rho = ntk * (1 - np.arccos(rho) / np.pi), relu_map(rho)
        ntk = ntk + rho
    found, curves = measured("none")
    np.testing.assert_allclose(
        curves["ntk_off_diagonal_through_depth"].value, ratios, rtol=1e-7
    )  # of arccos at rho = 1
    eigenvalues = np.linalg.eigvalsh(full)
    assert found["ntk_condition"].estimate.value == pytest.approx(eigenvalues[-1] / eigenvalues[0], rel=1e-6)
    assert found["ntk_largest_share"].estimate.value == pytest.approx(eigenvalues[-1] / np.trace(full), rel=1e-7)


@pytest.mark.parametrize(
    ("name", "activation", "expected"),
    [
        ("none", "relu", 1.0),
        ("weight_mean", "relu", 0.0),
        ("batch_norm", "relu", -1 / 7),
        ("none", "identity", None),  # keeps every correlation
        ("none", "gelu", None),  # lengths do not settle at its default scale
    ],
)
def test_a_fixed_point_is_given_where_there_is_one(name, activation, expected):
    found = measured(name, activation=activation)[0].get("fixed_point")
    assert (found and found.estimate) == (
        expected if expected is None else (pytest.approx(expected, abs=1e-12), 0.0, 0)
    )


def test_methods_say_what_the_numbers_rest_on():
    assert measured("none")[0]["gradient_growth"].method == "closed form (relu dual), float64 rounding"
    assert measured("batch_norm")[0]["gradient_growth"].method == "quadrature, relative error below 1e-8"
    assert all(m.estimate[1:] == (0.0, 0) for m in measured("batch_norm")[0].values())


def test_batch_norm_centres_correlations_over_the_batch():
    # Over a batch the normalised kernel is centred: its off-diagonals average -1/7 of the diagonal, pairs only nearly so.
    found = values("batch_norm")
    assert found["pair_correlation"] == pytest.approx(-1 / 7, abs=0.05)
    assert found["gradient_growth"] > CHI


def test_the_wrong_weight_scale_is_seen():
    # Power of the closed forms above: growth is proportional to sigma_w^2.
    found = values("none", sigma_w=1.3)
    assert found["gradient_growth"] == pytest.approx(1.3**2 / 2, rel=1e-13)
    assert found["second_moment_growth"] == pytest.approx(1.3**2 / 2, rel=1e-13)
    assert found["correlation_slope"] == pytest.approx(1, rel=COPY)


def test_shares_near_zero_count_the_bounds_and_keep_breakdowns():
    correlation = np.array([[[0.2, -0.2], [0.21, 0.0]], [[0.1, np.nan], [0.0, 0.0]]])
    np.testing.assert_array_equal(share_near_zero(correlation), [3 / 4, np.nan])


@pytest.mark.parametrize(("depth", "first"), [(2, 1), (6, 3), (39, 19), (40, 20), (50, 20)])
def test_settled_layers_are_those_beyond_twenty_or_the_last_half(depth, first):
    assert np.arange(depth)[settled(experiment(depth=depth))][0] == first


def test_measurements_are_the_curves_away_from_both_ends():
    found, curves = measured("batch_norm")
    assert found["gradient_growth"].estimate.value == pytest.approx(
        stationary(curves["gradient_through_depth"].value), rel=1e-15
    )
