"""Every option is checked before anything is measured, and the message says what would do."""

import gzip
import itertools
import math
from dataclasses import replace

import jax
import numpy as np
import pytest

from ntkcheck import normalizers
from ntkcheck.regime import Settings, prepare
from ntkcheck.regime.settings import critical_sigma_w
from tests.regime import OWN_BATCH_NORM, TINY, experiment


def refused(message, error=ValueError, **changes):
    with pytest.raises(error, match=message):
        prepare(replace(TINY, **changes))


@pytest.mark.parametrize(
    ("option", "value", "least"),
    [
        ("depth", 0, 2),
        ("depth", 1, 2),
        ("width", 1, 2),
        ("batch_size", 1, 2),
        ("pairs", 1, 2),
        ("seeds", 1, 2),
        ("iterations", 0, 1),
        ("samples", 63, 64),
        ("depth", 2.5, 2),
        ("width", math.nan, 2),
        ("pairs", True, 2),
    ],
)
def test_a_count_that_is_too_small_or_no_whole_number_is_refused(option, value, least):
    message = rf"`{option}` must be a whole number, at least {least} \(.*\), got {value}; try {least} or more"
    refused(message, **{option: value})


def test_the_least_counts_are_accepted():
    prepare(replace(TINY, depth=2, width=2, batch_size=2, pairs=2, seeds=2, iterations=1, samples=64))


@pytest.mark.parametrize("batch_size", [2, 3])
def test_batches_whose_gradients_are_infinite_under_batch_norm_are_refused(batch_size):
    message = rf"`batch_size` must be at least 4 for batch_norm \(.*infinite\), got {batch_size}; try 32"
    refused(message, normalizers=("batch_norm",), batch_size=batch_size)
    prepare(replace(TINY, normalizers=("batch_norm",), batch_size=4))


def test_groups_that_cannot_be_are_refused():
    message = r"`group_size` must divide the number of features, got 7 for 24 features; try 6 or 8"
    refused(message, normalizers=("iter_norm",), group_size=7)
    refused(r"`group_size` must be a positive whole number .*, got 0; try 16", normalizers=("iter_norm",), group_size=0)
    message = r"`zca` needs more samples than features in a group .*, got a batch of 8 for groups of 8; try `group_size` below 8"
    refused(message, normalizers=("zca",), group_size=8)
    refused("`zca` needs more samples than features in a group", normalizers=("zca",))  # groups of 12 by default
    prepare(replace(TINY, normalizers=("zca",), group_size=6))


def test_unknown_names_are_refused_with_the_nearest_known():
    refused(
        r"`normalizer` must be one of none, .*, got 'batchnorm'; did you mean 'batch_norm'", normalizers=("batchnorm",)
    )
    refused(r"`activation` must be one of relu, .*, got 'Relu6'; did you mean 'relu'", activation="Relu6")
    refused(r"`data` must be one of digits, gaussian, got 'digit'; did you mean 'digits'", data="digit")


def test_normalisers_are_named_once_and_at_least_once():
    refused("`normalizer` must give every name once, got 'none' twice", normalizers=("none", "none"))
    refused("`normalizer` must name at least one, got none; try none, weight_mean", normalizers=())


@pytest.mark.parametrize("sigma_w", [0.0, -1.0, math.inf, math.nan])
def test_weight_scales_out_of_range_are_refused(sigma_w):
    refused(rf"`sigma_w` must be a finite number above 0, got {sigma_w}; He's value", sigma_w=sigma_w)


@pytest.mark.parametrize("sigma_b", [-0.1, math.inf, math.nan])
def test_bias_scales_out_of_range_are_refused(sigma_b):
    refused(rf"`sigma_b` must be a finite number, 0 or above, got {sigma_b}", sigma_b=sigma_b)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_out_of_range_are_refused(seed):
    refused(rf"`seed` must be a whole number from 0 to 2 \*\* 63 - 1, got {seed}", seed=seed)


def saved(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    return str(tmp_path / "x.npy")


def test_data_that_cannot_be_read_are_refused(tmp_path):
    missing = str(tmp_path / "nothing.npy")
    refused(rf"`data` must name what exists, got {missing}; check the path", FileNotFoundError, data=missing)
    whole = (tmp_path / "x.npy") if saved(tmp_path, np.ones((4, 3))) else None
    whole.write_bytes(whole.read_bytes()[:-10])
    refused(r"`data` must name an intact .*x\.npy, which cannot be read", data=str(whole))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"\x00\x00\x08\x03" + bytes(12))[:-4])
    refused("`data` must name an intact gzip file, got .*, which cannot be unpacked", data=str(tmp_path))
    (tmp_path / "notes.txt").write_text("no data")
    refused(r"`data` must name a file that can be read, got .*notes\.txt; name", data=str(tmp_path / "notes.txt"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_data_that_are_not_finite_are_refused(tmp_path, value):
    x = np.random.default_rng(0).standard_normal((40, 5))
    x[17, 3] = value
    refused(rf"`data` must be finite, got {value} in sample 17 \(1 of 40", data=saved(tmp_path, x))


def test_a_sample_without_contrast_is_refused(tmp_path):
    x = np.random.default_rng(0).standard_normal((40, 5))
    x[11] = 0.25
    refused(
        "`data` must vary within every sample .*, got sample 11 of x with 5 equal features", data=saved(tmp_path, x)
    )


def test_more_pairs_than_the_data_have_are_refused(tmp_path):
    path = saved(tmp_path, np.random.default_rng(0).standard_normal((40, 5)))
    message = "`pairs` must fit the data: 21 pairs in batches of 8 need 48 samples, x has 40; try `pairs` 20"
    refused(message, data=path, pairs=21)
    prepare(replace(TINY, data=path, pairs=20))
    refused("need 64 samples, x has 40; try a smaller `batch_size` or more data", data=path, batch_size=64)


def own(tmp_path, body):
    path = tmp_path / "mine.py"
    path.write_text(f"import jax.numpy as jnp\n\ndef mine(x):\n    {body}\n")
    return (f"{path}:mine",)


def test_a_normaliser_of_ones_own_that_cannot_be_used_is_refused(tmp_path):
    missing = (str(tmp_path / "nothing.py") + ":mine",)
    refused(
        r"`normalizer` must name a Python file, got .*nothing\.py', which is no file",
        FileNotFoundError,
        normalizers=missing,
    )
    batch = r"on a standard Gaussian batch of shape \(8, 24\)"
    refused(rf"`normalizer` .*mine.* {batch} raised ZeroDivisionError", normalizers=own(tmp_path, "1 / 0"))
    refused(
        rf"{batch} returned an array of shape \(8,\); it must return an array of the shape it was given",
        normalizers=own(tmp_path, "return x.mean(1)"),
    )
    x = np.asarray(jax.random.normal(jax.random.key(0), (8, 24)))
    sample, feature = np.argwhere(x < 0)[0]
    refused(
        rf"{batch} returned nan for sample {sample}, feature {feature} \(input {x[sample, feature]:.6g}\)",
        normalizers=own(tmp_path, "return jnp.sqrt(x)"),
    )
    (tmp_path / "broken.py").write_text("raise RuntimeError('no')")
    refused(r"`normalizer`: running .*broken\.py' raised RuntimeError: no", normalizers=(f"{tmp_path}/broken.py:mine",))


def test_two_functions_of_one_name_are_refused(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(OWN_BATCH_NORM)
    both = tuple(f"{tmp_path}/{folder}/mine.py:own_batch_norm" for folder in ("a", "b"))
    refused("`normalizer` must give every name once, got 'own_batch_norm' twice", normalizers=both)


def test_an_experiment_has_the_networks_and_batches_that_were_asked_for():
    found = experiment(normalizers=("none", "iter_norm"), pairs=9, sigma_b=0.5)
    assert found.batches.shape == (3, 8, 64)
    assert list(found.networks) == ["none", "iter_norm"]
    network = found.networks["iter_norm"]
    assert (network.depth, network.sigma_w, network.sigma_b) == (6, 2**0.5, 0.5)
    assert network.normalizer == normalizers.get("iter_norm", 12)  # the largest divisor of 24 up to 16
    assert "Handwritten Digits" in found.source


def test_batches_are_distinct_samples_drawn_by_the_seed():
    first, again, other = (prepare(replace(TINY, seed=seed)).batches for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first.reshape(-1, 64), axis=0)) == 16
    gaussian = prepare(replace(TINY, data="gaussian")).batches
    assert gaussian.mean() == pytest.approx(0, abs=1e-15)
    assert gaussian.std() == pytest.approx(1, rel=1e-14)


def key_data(seed, *names):
    return tuple(np.asarray(jax.random.key_data(experiment(seed=seed).key(*names))))


def test_keys_depend_on_the_seed_and_the_names_alone():
    assert key_data(0, "finite", "none", "1") == key_data(0, "finite", "none", "1")
    keys = [key_data(seed, *names) for seed, *names in ((0, "a", "b"), (0, "b", "a"), (0, "a"), (1, "a", "b"))]
    assert len(set(keys)) == len(keys)
    reordered = prepare(replace(TINY, normalizers=("batch_norm", "none"))).key("finite", "none", "1")
    assert tuple(np.asarray(jax.random.key_data(reordered))) == key_data(0, "finite", "none", "1")


@pytest.mark.parametrize(
    ("changes", "evidence"),
    [
        ({}, True),
        ({"sigma_w": 2**0.5}, True),
        ({"sigma_w": 1.4}, False),
        ({"sigma_b": 0.1}, False),
        ({"activation": "leaky_relu"}, False),
        ({"width": 299}, False),
        ({"depth": 15}, False),
        ({"depth": 16, "width": 400}, True),
    ],
)
def test_only_wide_deep_relu_networks_at_he_variance_are_those_of_the_claims(changes, evidence):
    papers = replace(TINY, depth=50, width=300)
    assert prepare(replace(papers, **changes)).is_the_papers == evidence


@pytest.mark.parametrize(
    ("activation", "sigma_w"),
    [("relu", 2**0.5), ("identity", 1.0), ("abs", 1.0), ("tanh", 1.0), ("erf", math.sqrt(math.pi) / 2), ("gelu", 2.0)],
)
def test_the_default_weight_scale_keeps_gradients(activation, sigma_w):
    # sigma_w phi'(0) = 1 of the smooth ones; sigma_w^2 times the mean of the two squared slopes of the others. Rounding.
    network = prepare(replace(TINY, activation=activation)).networks["none"]
    assert network.sigma_w == pytest.approx(sigma_w, rel=1e-12)
    assert critical_sigma_w(network.activation) == network.sigma_w


def test_quick_asks_the_same_with_less():
    full, quick = Settings(), Settings().quick()
    changed = {name for name in vars(full) if getattr(quick, name) != getattr(full, name)}
    assert changed == {"normalizers", "pairs", "seeds", "samples"}
    assert all(getattr(quick, name) < getattr(full, name) for name in changed - {"normalizers"})
    assert set(quick.normalizers) < set(full.normalizers)
    # What was asked for by name, and what is less already, stays.
    less = Settings(pairs=10, seeds=2, samples=100, normalizers=("iter_norm",))
    assert less.quick() == less


def test_default_groups_divide_every_width():
    for width, group in itertools.zip_longest((300, 24, 7, 512, 34), (15, 12, 7, 16, 2)):
        network = prepare(replace(TINY, width=width, normalizers=("iter_norm",))).networks["iter_norm"]
        assert network.normalizer.group_size == group
