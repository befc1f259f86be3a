"""Tasks: images as networks take them, standardised by the training images alone, or raw."""

import numpy as np
import pytest

from ntkcheck.data.labelled import load_split
from ntkcheck.training import task
from ntkcheck.training.cells import cell
from ntkcheck.training.recipe import Recipe


def test_standardised_digits_have_mean_0_and_deviation_1_over_the_training_images_alone():
    found = task.load("digits", 8, "standardized")
    assert found.train.shape == (1438, 8, 8, 3)
    assert found.train.dtype == np.float32
    # float32 values of order 1, summed in float64
    assert np.allclose(found.train.mean((0, 1, 2), dtype=np.float64), 0, atol=1e-6)
    assert np.allclose(found.train.std((0, 1, 2), dtype=np.float64), 1, atol=1e-6)
    assert not np.allclose(found.test.mean((0, 1, 2), dtype=np.float64), 0, atol=1e-3)


@pytest.mark.parametrize("inputs", ["raw", "batch_norm"])
def test_raw_digits_are_in_the_units_of_their_source(inputs):
    found, split = task.load("digits", 8, inputs), load_split("digits")
    assert np.array_equal(found.train[..., 0].reshape(1438, 64), split.train)
    assert np.array_equal(found.train[..., 0], found.train[..., 2])
    assert np.array_equal(found.test_labels, split.test_labels)


def test_images_are_brought_to_size_between_their_least_and_largest_value():
    found = task.load("digits", 32, "raw")
    assert found.train.shape == (1438, 32, 32, 3)
    assert found.train.min() >= 0
    assert found.train.max() <= 16
    assert np.isclose(found.train.mean(), task.load("digits", 8, "raw").train.mean(), rtol=1e-5), "linear, symmetric"


def test_colours_keep_their_planes(tmp_path):
    planes = np.arange(4 * 3 * 4).reshape(4, 3, 2, 2)
    np.savez(tmp_path / "own.npz", x=planes, y=[0, 1, 0, 1], x_test=planes, y_test=[0, 1, 0, 1])
    found = task.load(str(tmp_path / "own.npz"), 2, "raw")
    assert np.array_equal(found.train, np.moveaxis(planes, 1, 3))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            np.ones((6, 5)) * np.arange(5),
            "`data` must hold square images, grey or of three planes, got 5 numbers a sample",
        ),
        (np.ones((6, 4)), "`data` must vary in every channel"),
    ],
)
def test_data_that_are_no_images_are_refused(tmp_path, x, message):
    np.savez(tmp_path / "own.npz", x=x, y=[0, 1, 0, 1, 0, 1], x_test=x, y_test=[0, 1, 0, 1, 0, 1])
    with pytest.raises(ValueError, match=message):
        task.load(str(tmp_path / "own.npz"), 2, "standardized")


def test_errors_name_the_option(tmp_path):
    with pytest.raises(ValueError, match="`data` must be one of digits"):
        task.load("digit", 8, "raw")
    with pytest.raises(FileNotFoundError, match="`data` must name what exists"):
        task.load(str(tmp_path / "absent.npz"), 8, "raw")


def test_data_that_have_changed_are_refused():
    with pytest.raises(ValueError, match=r"`digest` must be that of .*, got 0000: the data have changed since"):
        task.load_checked("digits", 8, "raw", "0000")


def test_a_cell_holds_everything_that_its_numbers_depend_on_whatever_is_left_out():
    recipe = Recipe(0.1, 5, 8)
    short = cell("cnn3", "scaled_batch_norm", recipe, 0)
    written_out = cell("cnn3", "scaled_batch_norm", recipe, 0, image=8, scale_rate=0.01, data="digits")
    assert short == written_out
    assert short["digest"] == task.load("digits", 8, "standardized").digest
    assert set(Recipe._fields) < set(short)
    assert cell("resnet18", "batch_norm", recipe, 0)["scale_rate"] == 1.0
