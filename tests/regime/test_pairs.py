"""Pairs through depth: theory and networks agree, and the spread that finite width leaves follows the derived law."""

import math

import jax
import numpy as np
import pytest

from ntkcheck.regime.pairs import PERCENTILES, pair_correlations, settled_spread, spread_constant

SIZES = {"pairs": 16, "batch_size": 8, "networks": 4}


def test_percentiles_are_in_order_and_between_minus_one_and_one():
    found = pair_correlations(jax.random.key(0), "weight_mean", 16, 5, **SIZES)
    values = np.array([m.estimate.value for m in found if m.quantity.startswith("percentile")])
    assert values.shape == (len(PERCENTILES), 5)
    assert (np.diff(values, axis=0) >= 0).all()
    assert np.abs(values).max() <= 1


def test_wide_networks_are_where_theory_says_they_are():
    theory, networks = (
        {
            m.quantity: m.estimate
            for m in pair_correlations(jax.random.key(1), "none", width, 3, **SIZES | {"networks": 8})
        }
        for width in (math.inf, 512)
    )
    assert theory["percentile 50"].n == 0
    # A median over pairs has the bias of the networks' noise, O(1 / width) = 0.002, beside the standard error of 8 networks.
    difference = networks["percentile 50"].value - theory["percentile 50"].value
    assert (np.abs(difference) <= 4 * networks["percentile 50"].sem + 2 / 512).all()
    another = theory["percentile 25"].value  # power: another percentile of the same pairs is not there
    assert (np.abs(networks["percentile 50"].value - another) > 4 * networks["percentile 50"].sem + 2 / 512).any()


def test_the_spread_constant_is_that_of_the_recursion():
    """V' = chi^2 V + 1/n for a layer's activations, chi = (1/4) / (1/2 - 1/(2 pi)), and 1/n on top: iterated until it stands."""
    chi, v = 0.25 / (0.5 - 0.5 / np.pi), 0.0
    for _ in range(200):
        v = chi**2 * v + 1
    assert spread_constant() == pytest.approx((1 + v) ** 0.5, abs=1e-12)  # rounding


def test_deep_networks_keep_the_spread_that_the_law_says():
    width = 200
    spread = settled_spread(jax.random.key(2), "weight_mean", width, 30, pairs=64, batch_size=16, networks=10)
    (found,) = (m.estimate for m in spread if m.quantity == "standard deviation")
    # The law is the leading order in 1 / width: its relative error is a few / width, since the noise of a layer is forgotten after
    # 1 / (1 - chi^2) = 2.2 layers; 4 standard errors come on top.
    slack = 4 * found.sem + 4 / width * found.value
    assert abs(found.value - spread_constant() / width**0.5) <= slack
    assert (
        abs(found.value - (spread_constant() ** 2 - 1) ** 0.5 / width**0.5) > slack
    )  # power: without the last layer's noise
