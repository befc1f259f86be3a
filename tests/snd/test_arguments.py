"""Bad input is refused before any long work, with the remedy."""

import jax
import numpy as np
import pytest

from ntkcheck import snd

KEY = jax.random.key(0)
GOOD = np.random.default_rng(0).standard_normal((40, 12))


def changed(index, value):
    population = GOOD.copy()
    population[index] = value
    return population


@pytest.mark.parametrize(
    ("name", "population", "options", "message"),
    [
        (
            "batch_norm",
            GOOD,
            {"batch_size": 1},
            "`batch_size` must be a whole number of at least 2, got 1: SND is over",
        ),
        (
            "zca",
            GOOD,
            {"batch_size": 6, "group_size": 6},
            "`zca` needs more samples than features in a group .*batch of 6 for",
        ),
        (
            "zca",
            GOOD,
            {"batch_size": 4, "group_size": 6},
            "`zca` needs more samples than features in a group .*batch of 4 for",
        ),
        (
            "zca",
            GOOD,
            {"group_size": 5},
            "`group_size` must divide the number of features, got 5 for 12 features; try 4 or 6",
        ),
        (
            "iter_norm",
            GOOD,
            {"iterations": 0, "group_size": 4},
            "`iterations` must be a positive whole number .*, got 0; try 5",
        ),
        (
            "batch_norm",
            GOOD,
            {"batch_size": 41},
            "at least `batch_size` samples, got 40 for batches of 41; lower the batch",
        ),
        (
            "batch_norm",
            changed((3, 2), np.nan),
            {},
            "`population` must be finite, got nan at sample 3, feature 2; leave",
        ),
        ("none", changed((3, 2), np.inf), {}, "`population` must be finite, got inf at sample 3, feature 2; leave"),
        (
            "batch_norm",
            changed((slice(None), 7), 2.0),
            {},
            "must vary in every feature for `batch_norm`, got 1 .*feature 7 with",
        ),
        (
            "iter_norm",
            np.ones((40, 12)),
            {"group_size": 4},
            "must vary in every feature for `iter_norm`, got 12 constant",
        ),
        (
            "batch_norm",
            GOOD[0],
            {},
            r"`population` must be real numbers of shape \(samples, features\), got .* shape \(12,\)",
        ),
        ("batch_norm", np.ones((40, 12), int), {}, r"`population` must be real numbers .*, got int64"),
        ("batch_norm", GOOD, {"anchors": 1}, "`anchors` must be a whole number of at least 2, got 1"),
        ("batch_norm", GOOD, {"draws": 1}, "`draws` must be a whole number of at least 2, got 1"),
        (
            "batch_norm",
            GOOD,
            {"design": "share"},
            "`design` must be one of shared, anchored, got 'share'; did you mean 'shared'",
        ),
        ("batch_norm", GOOD, {"key": 0}, r"`key` must be a random key, got 0; pass jax.random.key\(0\)"),
        ("batchnorm", GOOD, {}, "`normalizer` must be one of none, .*did you mean 'batch_norm'"),
    ],
)
def test_what_will_not_do_is_refused(name, population, options, message):
    with pytest.raises(ValueError, match=message):
        snd.estimate(name, population, **({"batch_size": 16, "key": KEY} | options))


def test_a_constant_feature_in_a_group_that_varies_is_no_obstacle_to_iter_norm():
    found = snd.disturbance("iter_norm", changed((slice(None), 7), 2.0), 16, 10, 10, key=KEY, group_size=4)
    assert found.broken == 0
    assert found.value > 0
