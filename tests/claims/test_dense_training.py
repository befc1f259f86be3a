"""The checks about training small networks: what made-up measurements make of them, and MN-8 as measured."""

import math

import pytest
from scipy import stats

from ntkcheck import claims
from ntkcheck.claims import dense_training
from ntkcheck.normalizers import get
from tests.claims.made_up import evidence, made_up, verdict, within


@pytest.mark.parametrize("id", ["MN-8", "IN-9"])
def test_the_ledger_names_the_check(id):
    assert claims.load()[id].check == f"ntkcheck.claims.dense_training:{id.lower().replace('-', '_')}"


def test_centring_by_either_route_holds_for_sgd_from_centred_weights_only():
    found = dense_training.mn_8(evidence(), networks=3, steps=4)
    assert verdict("MN-8", found) == "qualified"
    assert found["sgd_distance"].n == 3
    assert found["adam_distance"].value > 1e-4
    assert found["uncentred_start_distance"].value > 1e-2


def routes(sgd=1e-15, adam=0.1, uncentred=0.1, mean=1e-16):
    def law(optimizer, centred_start, **_):
        distance = (sgd if centred_start else uncentred) if optimizer == "sgd" else adam
        return {"distance": distance, "mean_of_weights": mean}

    return made_up(centring_routes=law)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "qualified"),
        ({"sgd": 1e-6}, "refuted"),
        ({"mean": 1e-6}, "refuted"),
        ({"adam": 1e-15, "uncentred": 1e-15}, "supported"),
    ],
)
def test_distances_of_the_routes_decide(changes, expected):
    found = dense_training.mn_8(routes(**changes))
    assert verdict("MN-8", found) == expected
    assert within(found["adam_distance"], changes.get("adam", 0.1))


BROKEN = {
    "normalizer": "batch_norm",
    "batch_size": 2,
    "group_size": 8,
    "iterations": 0,
}  # SND 2, whose infinite power is inf


def settings(test=0.5, training=0.5, whitening=0.5, broken=None):
    """SND = (g / m)^(1/2), and losses SND^exponent of their own for BatchNorm and for the others; `broken` replaces a loss."""

    def disturbance_and_loss(normalizer, batch_size, group_size, iterations, **_):
        snd = (group_size * max(iterations, 1) / batch_size) ** 0.5
        exponent = test if normalizer == "batch_norm" else whitening
        loss = snd**exponent if (normalizer, batch_size) != ("batch_norm", 2) or broken is None else broken
        return {"snd": snd, "test_loss": loss, "training_loss": snd**training}

    return made_up(disturbance_and_loss=disturbance_and_loss)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "supported"),
        ({"broken": math.inf}, "supported"),
        ({"broken": math.nan}, "supported"),  # ranks as the worst, and m = 2 has the largest SND
        ({"test": -0.5}, "refuted"),
        ({"training": -0.5}, "refuted"),
        ({"whitening": -0.5}, "qualified"),
    ],
)
def test_rank_correlations_decide(changes, expected):
    assert verdict("IN-9", dense_training.in_9(settings(**changes))) == expected


def test_every_setting_is_one_that_its_normaliser_can_do():
    assert len(set(dense_training.SETTINGS)) == len(dense_training.SETTINGS) == 52
    assert [setting.batch_size for setting in dense_training.BATCH_NORM] == [2, 4, 8, 16, 32, 64, 128, 256]
    for setting in (*dense_training.SETTINGS, *dense_training.BATCH_NORM):
        get(setting.normalizer, setting.group_size, setting.iterations or 5).check(setting.batch_size, 64)


def test_settings_that_were_not_measured_are_no_evidence():
    assert set(dense_training.in_9(made_up()).values()) == {None}
    assert set(dense_training.mn_8(made_up()).values()) == {None}


def test_the_correlation_is_that_of_ranks():
    # The largest SND with the smallest of eight losses, which moves the seven others by one: 1 - 6 sum d^2 / (n (n^2 - 1)).
    found = dense_training.in_9(settings(broken=0.0))["rank_correlation_test_loss"]
    assert found.value == pytest.approx(1 - 6 * (7**2 + 7) / (8 * 63), abs=1e-12)


def test_losses_that_all_broke_down_decide_nothing():
    records = [None, *[settings(test=math.inf).obtain(dense_training.disturbance_and_loss, **BROKEN)] * 3]
    assert dense_training.rank_correlation(records, "test_loss") is None
    with pytest.warns(stats.ConstantInputWarning):
        found = dense_training.rank_correlation(records[1:], "test_loss")
    assert found is not None
    assert math.isnan(found.value)
