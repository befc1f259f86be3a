import math

import numpy as np
import pytest

from ntkcheck import activations, normalizers
from ntkcheck.network import Network, make_network


def test_a_network_is_made_of_names_and_is_the_same_for_the_same_names():
    network = make_network(5, "batch_norm", "relu", 2**0.5, 0.1)
    expected = Network(5, normalizers.get("batch_norm"), activations.get("relu"), 2**0.5, 0.1)
    assert network == expected
    assert hash(network) == hash(expected)
    assert hash(network) != hash(make_network(6, "batch_norm", "relu", 2**0.5, 0.1))


def test_numbers_of_any_kind_become_plain_ones():
    network = make_network(np.int64(2), "none", "relu", np.float32(1.5), 0)
    assert [type(value) for value in (network.depth, network.sigma_w, network.sigma_b)] == [int, float, float]


def test_objects_are_taken_as_they_are():
    normalizer, activation = normalizers.get("zca", 4), activations.get("leaky_relu", slope=0.3)
    network = make_network(2, normalizer, activation)
    assert network.normalizer is normalizer
    assert network.activation is activation


@pytest.mark.parametrize("depth", [0, -1, 2.0, True, "3"])
def test_a_depth_that_is_none_is_refused(depth):
    with pytest.raises(
        ValueError, match=rf"`depth` must be a whole number of hidden layers, at least 1, got {depth!r}"
    ):
        make_network(depth)


@pytest.mark.parametrize("sigma_w", [0.0, -1.0, math.inf, math.nan])
def test_a_weight_scale_out_of_range_is_refused(sigma_w):
    message = rf"`sigma_w` must be a finite number above 0, got {sigma_w}; He's value for ReLU is 2 \*\* 0.5"
    with pytest.raises(ValueError, match=message):
        make_network(sigma_w=sigma_w)


@pytest.mark.parametrize("sigma_b", [-0.1, math.inf, math.nan])
def test_a_bias_scale_out_of_range_is_refused(sigma_b):
    with pytest.raises(ValueError, match=rf"`sigma_b` must be a finite number, 0 or above, got {sigma_b}"):
        make_network(sigma_b=sigma_b)


def test_unknown_names_are_refused_with_the_nearest_known():
    with pytest.raises(ValueError, match=r"`normalizer` must be one of .*, got 'batchnorm'; did you mean 'batch_norm'"):
        make_network(normalizer="batchnorm")
    with pytest.raises(ValueError, match=r"`activation` must be one of .*, got 'rleu'; did you mean 'relu'"):
        make_network(activation="rleu")
