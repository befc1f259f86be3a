"""Images for the models: size, channels, standardisation, and what is refused."""

import numpy as np
import pytest

from ntkcheck.reference.images import interpolation, load, load_checked


@pytest.mark.parametrize(("old", "new"), [(8, 32), (32, 8), (5, 7), (6, 6)])
def test_interpolation_keeps_constants_and_straight_lines_between_the_outer_centres(old, new):
    weights = interpolation(old, new)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-14)
    line = weights @ np.arange(old)
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    inside = (centres >= 0) & (centres <= old - 1)
    np.testing.assert_allclose(line[inside], centres[inside], atol=1e-12)


def test_interpolation_to_the_same_size_changes_nothing():
    np.testing.assert_array_equal(interpolation(6, 6), np.eye(6))


@pytest.mark.parametrize("spec", ["digits", "gaussian", "patches"])
def test_images_have_channels_of_mean_0_and_variance_1_and_depend_on_the_seed_alone(spec):
    found = load(spec, 6, 16, 3)
    assert found.x.shape == (6, 16, 16, 3)
    assert found.x.dtype == np.float32
    # Float32 sums of 1536 numbers of order 1.
    np.testing.assert_allclose(found.x.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(found.x.var((0, 1, 2)), 1, atol=1e-5)
    load.cache_clear()
    again, other = load(spec, 6, 16, 3), load(spec, 6, 16, 4)
    np.testing.assert_array_equal(again.x, found.x)
    assert again.digest == found.digest != other.digest


def test_grey_images_have_three_equal_channels_and_planes_keep_their_own(tmp_path):
    digits = load("digits", 4, 8, 0).x
    np.testing.assert_array_equal(digits[..., 0], digits[..., 1])
    planes = np.random.default_rng(0).random((4, 3, 5, 5))
    np.save(tmp_path / "colour.npy", planes)
    found = load(str(tmp_path / "colour.npy"), 4, 5, 0).x
    expected = np.moveaxis(planes, 1, 3)[np.random.default_rng(0).permutation(4)]
    for channel in range(3):
        correlation = np.corrcoef(found[..., channel].ravel(), expected[..., channel].ravel())[0, 1]
        assert correlation > 1 - 1e-6  # equal up to a shift and a scale, in float32


def test_too_few_images_are_refused(tmp_path):
    np.save(tmp_path / "few.npy", np.random.default_rng(0).random((3, 16)))
    with pytest.raises(ValueError, match="`batch` must fit the data: 4 images are needed, few has 3"):
        load(str(tmp_path / "few.npy"), 4, 8, 0)


def test_samples_that_are_no_squares_are_refused(tmp_path):
    np.save(tmp_path / "odd.npy", np.random.default_rng(0).random((8, 15)))
    with pytest.raises(
        ValueError, match="`data` must hold square images, grey or of three planes, got 15 numbers a sample"
    ):
        load(str(tmp_path / "odd.npy"), 4, 8, 0)


def test_a_constant_channel_is_refused(tmp_path):
    planes = np.random.default_rng(0).random((4, 3, 2, 2))
    planes[:, 1] = 0.5
    np.save(tmp_path / "flat.npy", planes)
    with pytest.raises(ValueError, match="`data` must vary in every channel, got a constant one in the images of flat"):
        load(str(tmp_path / "flat.npy"), 4, 2, 0)


def test_an_unknown_name_and_an_absent_file_are_refused():
    with pytest.raises(
        ValueError, match="`data` must be one of patches, digits, gaussian, got 'diggits'; did you mean 'digits'"
    ):
        load("diggits", 4, 8, 0)
    with pytest.raises(FileNotFoundError, match="`data` must name what exists, got nowhere/cifar"):
        load("nowhere/cifar", 4, 8, 0)


def test_images_of_another_digest_are_refused():
    with pytest.raises(ValueError, match=r"`inputs` must be the digest of .*, got 0123: it has changed since"):
        load_checked("digits", 4, 8, 0, "0123")
