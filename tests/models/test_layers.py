"""Convolutions, pooling and normalisers on images against loops in NumPy. 3 s."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck import normalizers
from ntkcheck.models import norms
from ntkcheck.models.layers import Convolution, max_pool
from ntkcheck.models.shufflenet import shuffle


def normal(shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def windows(x, kernel, stride, padding, fill=0.0):
    """(i, j, window) for every position; the border holds `fill`."""
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)), constant_values=fill)
    starts = [range(0, size - kernel + 1, stride) for size in padded.shape[1:3]]
    for (i, a), (j, b) in itertools.product(*map(enumerate, starts)):
        yield i, j, padded[:, a : a + kernel, b : b + kernel]


def convolved(x, weight, stride, padding, groups):
    side = (x.shape[1] + 2 * padding - weight.shape[0]) // stride + 1
    y = np.zeros((x.shape[0], side, side, weight.shape[-1]))
    inputs, outputs = x.shape[-1] // groups, weight.shape[-1] // groups
    for i, j, window in windows(x, weight.shape[0], stride, padding):
        for group in range(groups):
            part = window[..., group * inputs : (group + 1) * inputs]
            kernels = weight[..., group * outputs : (group + 1) * outputs]
            y[:, i, j, group * outputs : (group + 1) * outputs] = np.tensordot(part, kernels, 3)
    return y


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("groups", "dtype"), [(1, np.float64), (4, np.float64), (4, np.float32)])
def test_a_convolution_is_a_sum_over_its_window(stride, groups, dtype):
    x, weight, bias = normal((2, 7, 7, 4)), normal((3, 3, 4 // groups, 4), 1), normal(4, 2)
    layer = Convolution(*(jnp.asarray(a, dtype) for a in (weight, bias)), stride, 1, groups, None)
    with jax.default_matmul_precision("highest"):
        y = layer(jnp.asarray(x, dtype))
    # Sums of 36 products and a bias, each of magnitude below about 10.
    np.testing.assert_allclose(y, convolved(x, weight, stride, 1, groups) + bias, atol=400 * np.finfo(dtype).eps)
    assert y.dtype == dtype


def test_weights_are_centred_where_the_fan_in_exceeds_the_threshold():
    x = normal((2, 5, 5, 8))
    for channels, centred in ((5, False), (6, True)):  # fan-in 45 and 54
        weight = 1.0 + normal((3, 3, channels, 4), 1)
        layer = Convolution(jnp.asarray(weight), None, 1, 1, 1, 50)
        expected = weight - weight.mean((0, 1, 2)) if centred else weight
        np.testing.assert_allclose(
            layer(x[..., :channels]), convolved(x[..., :channels], expected, 1, 1, 1), atol=1e-12
        )


@pytest.mark.parametrize(("side", "expected"), [(6, 3), (7, 3), (8, 4)])
def test_a_pooling_with_ceil_reaches_beyond_the_edge(side, expected):
    x = normal((1, side, side, 2))
    y = max_pool(jnp.asarray(x), window=3, stride=2, ceil=True)
    beyond = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=-np.inf)
    loops = {(i, j): window.max((1, 2)) for i, j, window in windows(beyond, 3, 2, 0)}
    assert y.shape == (1, expected, expected, 2)
    assert all(np.array_equal(y[:, i, j], loops[i, j]) for i in range(expected) for j in range(expected))


def test_a_padded_pooling_takes_the_maximum_of_what_there_is():
    x = -1 - normal((2, 6, 6, 3)) ** 2  # below the zeros that must not be counted
    y = max_pool(jnp.asarray(x), window=3, stride=2, padding=1)
    assert y.shape == (2, 3, 3, 3)
    for i, j, window in windows(x, 3, 2, 1, fill=-np.inf):
        np.testing.assert_array_equal(y[:, i, j], window.max((1, 2)))


def test_shuffling_interleaves_the_channels_of_the_halves():
    a, b = jnp.arange(3.0)[None, None, None], 10 + jnp.arange(3.0)[None, None, None]
    np.testing.assert_array_equal(shuffle(a, b)[0, 0, 0], [0, 10, 1, 11, 2, 12])


def test_batch_norm_standardises_channels_over_samples_and_positions():
    x = 3 + 2 * normal((4, 3, 5, 6))
    y = norms.batch_norm(jnp.asarray(x), eps=0.0)
    np.testing.assert_allclose(y, (x - x.mean((0, 1, 2))) / x.std((0, 1, 2)), atol=1e-13)


def test_layer_norm_standardises_samples():
    x = 3 + 2 * normal((4, 3, 5, 6))
    axes = (1, 2, 3)
    expected = (x - x.mean(axes, keepdims=True)) / x.std(axes, keepdims=True)
    np.testing.assert_allclose(norms.layer_norm(jnp.asarray(x), eps=0.0), expected, atol=1e-13)


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (58, 29), (16, 8), (24, 12)])
def test_group_norm_standardises_samples_over_groups_of_at_least_two_channels(channels, groups):
    x = normal((2, 3, 3, channels)) + np.arange(channels)
    parts = np.split(x, groups, axis=-1)
    axes = (1, 2, 3)
    expected = [(p - p.mean(axes, keepdims=True)) / p.std(axes, keepdims=True) for p in parts]
    y = norms.group_norm(jnp.asarray(x), groups=32, eps=0.0)
    np.testing.assert_allclose(y, np.concatenate(expected, -1), atol=1e-12)


@pytest.mark.parametrize(
    ("channels", "limit", "size"), [(512, 64, 64), (116, 64, 58), (160, 64, 40), (24, 64, 24), (58, 16, 2)]
)
def test_whitening_groups_have_the_most_channels_that_divide(channels, limit, size):
    assert norms.largest_divisor(channels, limit) == size


def test_whitening_takes_positions_as_samples():
    x = normal((5, 4, 4, 12))
    rows = jnp.asarray(x.reshape(-1, 12))
    zca = norms.zca(jnp.asarray(x), group_size=8, eps=0.0)
    # Float64, 80 samples of 6 features, of condition number below 10; another group size gives another matrix.
    np.testing.assert_allclose(zca.reshape(-1, 12), normalizers.zca(rows, group_size=6), atol=1e-12)
    assert np.abs(zca.reshape(-1, 12) - normalizers.zca(rows, group_size=4)).max() > 1e-3
    iter_norm = norms.iter_norm(jnp.asarray(x), group_size=8, iterations=5, eps=0.0)
    np.testing.assert_array_equal(iter_norm.reshape(-1, 12), normalizers.iter_norm(rows, group_size=6, iterations=5))
