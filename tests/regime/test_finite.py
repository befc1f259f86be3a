"""Random networks of finite width against infinite width: they agree within their scatter and a bias of order 1/width."""

import functools

import pytest

from ntkcheck.regime import finite, theory
from tests.regime import experiment, numbers_and_curves

WIDTH, SEEDS, DEPTH = 128, 12, 5
QUANTITIES = ("correlation_slope", "second_moment_growth", "gradient_growth", "pair_correlation", "ntk_off_diagonal")


@functools.cache
def networks():
    found = finite.measure(
        experiment(normalizers=("weight_mean",), width=WIDTH, seeds=SEEDS, depth=DEPTH), "weight_mean"
    )
    return numbers_and_curves(found)


@functools.cache
def infinite(sigma_w=None):
    found = theory.measure(experiment(normalizers=("weight_mean",), depth=DEPTH, sigma_w=sigma_w), "weight_mean")
    return {quantity: m.estimate.value for quantity, m in numbers_and_curves(found)[0].items()}


def agrees(quantity, truth):
    """Within four standard errors and a bias of 3 / width of a number of order 1."""
    estimate = networks()[0][quantity].estimate
    return abs(estimate.value - truth) <= 4 * estimate.sem + 3 / WIDTH


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_networks_agree_with_infinite_width(quantity):
    assert agrees(quantity, infinite()[quantity])


@pytest.mark.parametrize("quantity", ["second_moment_growth", "gradient_growth"])
def test_networks_do_not_agree_with_the_theory_of_another_weight_scale(quantity):
    assert not agrees(quantity, infinite(sigma_w=1.2)[quantity])


def test_networks_do_not_agree_with_the_theory_of_uncentred_weights():
    assert not agrees("correlation_slope", 1.0)
    assert not agrees("second_moment_growth", 1.0)


def test_each_number_says_how_many_networks_it_rests_on():
    found, _ = networks()
    assert {found[quantity].estimate.n for quantity in QUANTITIES[:-1]} == {SEEDS}
    assert found["gradient_growth"].method == f"{SEEDS} networks of width {WIDTH}"
    # The NTK is the expensive one.
    assert found["ntk_condition"].estimate.n == finite.NTK_NETWORKS
    assert found["ntk_condition"].method == f"{finite.NTK_NETWORKS} networks of width {WIDTH}"


def test_curves_go_through_every_layer():
    _, curves = networks()
    assert {name: list(curve.at) for name, curve in curves.items()} == {
        "correlation_through_depth": [1, 2, 3, 4, 5],
        "ntk_off_diagonal_through_depth": [5],
        "gradient_through_depth": [1, 2, 3, 4],
    }
    assert all((curve.sem > 0).all() for curve in curves.values())
    last = curves["correlation_through_depth"]
    assert (last.value[-1], last.sem[-1]) == pytest.approx(networks()[0]["pair_correlation"].estimate[:2], rel=1e-12)
