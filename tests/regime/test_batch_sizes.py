"""Growth by batch size: the law's values, and networks beside them."""

import math

import jax
import pytest

from ntkcheck.regime.batch_sizes import batch_norm_growth


def growth(*arguments):
    return {m.quantity: m.estimate for m in batch_norm_growth(*arguments)}


@pytest.mark.parametrize("batch_size", [5, 16, 256])
def test_the_identity_s_gradient_grows_by_the_known_rate(batch_size):
    law = growth(jax.random.key(0), "identity", batch_size, math.inf, 1, 1)
    assert law["gradient growth"] == (pytest.approx((batch_size - 2) / (batch_size - 3), rel=1e-12), 0.0, 0)


def test_networks_grow_by_the_law_s_rate():
    law = growth(jax.random.key(0), "relu", 12, math.inf, 1, 1)["gradient growth"].value
    networks = growth(jax.random.key(1), "relu", 12, 128, 15, 8)["gradient growth"]
    # Growth is a ratio of two means over width x batch derivatives: biased by O(1 / width); 4 standard errors on top.
    slack = 4 * networks.sem + 2 / 128 * law
    assert abs(networks.value - law) <= slack
    assert abs(networks.value - math.pi / (math.pi - 1)) > slack  # power: that of an infinite batch
