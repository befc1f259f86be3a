"""A training as a measurement: what it says of a small network, of divergence, and that it is the same each time."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck.measurement import Series
from ntkcheck.sweep import measure_cell
from ntkcheck.training import loop, outcome
from ntkcheck.training.cells import cell
from ntkcheck.training.outcome import diverged, measure, outputs
from ntkcheck.training.recipe import Recipe

STEPS = 44  # two epochs


def trained(normalizer="batch_norm", seed=0, rate=0.1, **options):
    record = measure_cell(measure, cell("cnn3", normalizer, Recipe(rate, STEPS, 64), seed, **options))
    assert record.failure is None, record.failure
    return {name: estimate for name, estimate, _ in record.measurements}


@pytest.fixture(scope="module")
def found():
    return trained()


def test_two_epochs_of_digits_teach_a_small_network_most_of_them(found):
    """Nearest class means, fitted on the same images, get about 0.9 right; ten classes at random 0.1."""
    assert found["test_accuracy"].value > 0.9
    assert found["training_loss"].value[0] > 2 > found["training_loss"].value[-1]
    assert found["diverged"].value == 0


def test_a_share_has_its_binomial_error(found):
    share, sem, n = found["test_accuracy"]
    assert n == 359
    assert sem == pytest.approx(math.sqrt(share * (1 - share) / 359), rel=1e-12)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(found):
    again, other = trained(), trained(seed=1)
    assert np.array_equal(again["training_loss"].value, found["training_loss"].value)
    assert again["test_loss"] == found["test_loss"]
    assert not np.array_equal(other["training_loss"].value, found["training_loss"].value)


def test_curves_keep_every_so_many_steps_and_the_last(found):
    thin = trained(every=10)["gradient_norm"]
    assert isinstance(thin, Series)
    assert thin.at.tolist() == [0, 10, 20, 30, 40, 43]
    assert np.array_equal(thin.value, found["gradient_norm"].value[thin.at.astype(int)])


def test_a_smaller_rate_of_scales_keeps_scales_nearer_to_their_first_values(found):
    slow = trained(scale_rate=0.01)
    assert slow["scale_displacement"].value < 0.05 * found["scale_displacement"].value
    assert slow["shift_displacement"].value > 0.5 * found["shift_displacement"].value


def test_a_training_that_breaks_down_is_a_result():
    broken = trained("none", rate=1e6)
    assert broken["diverged"].value == 1
    assert not np.isfinite(broken["training_loss"].value).all()
    assert broken["test_accuracy"].n == 359


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ([2.3, 9.0, 4.5], False),
        ([2.3, 2.3, 4.7], True),
        ([2.3, math.nan, 0.1], True),
        ([2.3, math.inf, 0.1], True),
    ],
)
def test_divergence_is_a_loss_that_is_not_finite_or_ends_above_twice_its_first_value(loss, expected):
    assert diverged(np.array(loss)) is expected


def test_logits_of_any_number_of_images_are_those_of_one_batch(monkeypatch):
    model = outcome.make("cnn3", "layer_norm", 10, "cifar", key=jax.random.key(0))
    x = np.random.default_rng(0).standard_normal((11, 8, 8, 3)).astype(np.float32)
    monkeypatch.setattr(outcome, "EVALUATION_BATCH", 4)
    assert np.allclose(outputs(model, x, "highest"), model(jnp.asarray(x)), atol=1e-5)  # float32, values of order 1


def test_the_test_can_be_left_out():
    assert "test_accuracy" not in trained(population=0)


def test_a_long_training_leaves_no_checkpoint_behind_and_does_not_change_for_it(found, monkeypatch, tmp_path):
    monkeypatch.setenv(outcome.checkpoint.FOLDER, str(tmp_path))
    monkeypatch.setattr(outcome.checkpoint, "STEPS", 20)
    kept = []
    write = outcome.checkpoint.write
    monkeypatch.setattr(outcome.checkpoint, "write", lambda path, *rest: kept.append(path) or write(path, *rest))
    assert np.array_equal(trained()["training_loss"].value, found["training_loss"].value)
    assert len(kept) == 2
    assert list(tmp_path.iterdir()) == []


def test_learning_rates_and_seeds_are_no_part_of_the_program(found):
    program = vars(loop._one)["program"]()
    before = program._cache_size()
    trained(rate=0.03, seed=2, scale_rate=0.5, population=0)
    assert program._cache_size() == before
    trained("layer_norm", population=0)
    assert program._cache_size() == before + 1, "another network is another program"
