"""What the figures of SND work out from their tables: which settings are dominated, where labels stand, rank correlations."""

import numpy as np
import pandas as pd
import pytest

from figures import _disturbance, snd_and_loss, trade_off
from figures.trade_off import Setting, dominated


def setting(condition, snd, error=0.1):
    return Setting("zca", 8, 0, condition, error, snd, error)


def test_a_setting_is_dominated_by_one_that_is_no_worse_and_clearly_better():
    reference = setting(10, 1)
    assert dominated(reference, [setting(9, 1)])
    assert dominated(reference, [setting(10, 0.5)])
    assert dominated(setting(1 + 1e-12, 1), [setting(1, 0.5)])  # the same conditioning but for rounding
    assert not dominated(reference, [reference, setting(9, 2), setting(20, 0.5)])
    # 2 standard errors of a difference of 0.1 each are 0.283.
    assert not dominated(reference, [setting(9.75, 0.75)])
    assert dominated(reference, [setting(9.7, 0.75)])


def test_settings_without_disturbance_or_with_lost_directions_are_not_in_the_plane():
    columns = ("normalizer", "group_size", "iterations", "quantity", "value", "sem")
    numbers = {"batch_norm": (4.0, 0.5), "layer_norm": (4.0, 1e-15), "group_norm": (np.inf, 1.0), "pca": (2.0, np.nan)}
    rows = [
        (name, 0, 0, quantity, value, 0.1)
        for name, pair in numbers.items()
        for quantity, value in zip(("condition_number", "snd"), pair, strict=True)
    ]
    (found,) = trade_off.settings(pd.DataFrame(rows, columns=columns), "snd")
    assert found == Setting("batch_norm", 0, 0, 4.0, 0.1, 0.5, 0.1)


def test_labels_are_moved_apart_in_their_order_and_no_further():
    found = _disturbance.spread({"a": 1.0, "b": 1.1, "c": 3.0, "d": 1.05}, ratio=1.25)
    assert found == pytest.approx({"a": 1.0, "d": 1.25, "b": 1.5625, "c": 3.0})


def test_the_law_is_the_exact_one_where_there_is_one():
    table = pd.DataFrame(
        {"quantity": ["snd", "law_exact", "law_first_order"], "m": [4, 4, 4], "value": [1.0, 1.1, 1.2]}
    )
    assert _disturbance.law(table, m=4)["value"].tolist() == [1.1]
    assert _disturbance.law(table[table["quantity"] != "law_exact"], m=4)["value"].tolist() == [1.2]


def test_a_layer_norm_with_a_disturbance_is_refused():
    table = pd.DataFrame({"quantity": ["snd"], "normalizer": ["layer_norm"], "value": [1e-15]})
    assert "0 but for rounding" in _disturbance.without_layer_norm(table)
    with pytest.raises(ValueError, match=r"`table` must have an SND of 0 but for rounding for LayerNorm, got 0\.1"):
        _disturbance.without_layer_norm(table.assign(value=0.1))


def losses(test_loss):
    """Three settings in two networks: SND 3, 2, 1, and a loss."""
    settings = {"normalizer": "batch_norm", "batch_size": [2, 4, 8] * 2, "group_size": 1, "iterations": 0}
    table = pd.DataFrame({**settings, "at": [0.0] * 3 + [1.0] * 3})
    disturbances = table.assign(quantity="snd", value=[3.0, 2.0, 1.0] * 2)
    return pd.concat([disturbances, table.assign(quantity="test_loss", value=test_loss)], ignore_index=True)


def test_the_rank_correlation_is_over_settings_and_its_error_over_networks():
    assert snd_and_loss._correlation(losses([9, 1, 0.5, 9, 1, 0.5]), "test_loss") == "1.00 ± 0.00"
    assert snd_and_loss._correlation(losses([9, 1, 0.5, 0.5, 1, 9]), "test_loss") == "0.00 ± 1.00"


def test_a_loss_that_is_not_finite_is_the_worst_and_no_mean():
    table = losses([np.nan, 1, 0.5, np.inf, 1, 0.5])
    assert snd_and_loss._correlation(table, "test_loss") == "1.00 ± 0.00"
    means = snd_and_loss._means(table).set_index("batch_size")["test_loss"]
    assert means[[4, 8]].tolist() == [1, 0.5]
    assert np.isnan(means[2])
