"""Labelled data: the split of the bundled digits, and folders and files as they are published."""

import pickle
import struct

import numpy as np
import pytest

from ntkcheck.data import digit_labels, digits, load
from ntkcheck.data.labelled import load_split
from tests.test_data_folders import BATCHES, binary_batch, five, idx, written

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (10, 3072), dtype=np.uint8)
DIGITS = RNG.integers(0, 256, (20, 3, 4), dtype=np.uint8)
LABELS = np.arange(20) % 2


def idx_labels(labels, magic=0x00000801):
    return struct.pack(">II", magic, len(labels)) + labels.astype(np.uint8).tobytes()


def python_batch(images, labels, name="labels"):
    return pickle.dumps({name.encode(): [int(label) for label in labels], b"data": images}, protocol=2)


def mnist(train=None, test=True):
    train = idx_labels(LABELS) if train is None else train
    contents = {"train-images-idx3-ubyte": idx(DIGITS), "train-labels-idx1-ubyte": train}
    return contents | (
        {"t10k-images-idx3-ubyte": idx(DIGITS[:4]), "t10k-labels-idx1-ubyte": idx_labels(LABELS[:4])} if test else {}
    )


def test_digits_are_split_once_and_alike_for_every_class():
    split = load_split("digits")
    rows = {row.tobytes() + bytes([label]) for row, label in zip(digits().x, digit_labels(), strict=True)}
    found = [
        row.tobytes() + bytes([label])
        for x, labels in ((split.train, split.train_labels), (split.test, split.test_labels))
        for row, label in zip(x, labels, strict=True)
    ]
    assert len(found) == 1797
    assert set(found) == rows, "every image with its label, none twice"
    shares = np.bincount(split.test_labels) / np.bincount(digit_labels())
    assert np.all(np.abs(shares - 0.2) <= 0.5 / np.bincount(digit_labels())), "a fifth of each class, but for rounding"
    assert (len(split.test), split.classes) == (359, 10)
    assert np.array_equal(load_split("digits").test, split.test)


def test_mnist_is_read_with_its_own_split(tmp_path):
    split = load_split(written(tmp_path, mnist()))
    assert np.array_equal(split.train, DIGITS.reshape(20, 12))
    assert np.array_equal(split.train_labels, LABELS)
    assert np.array_equal(split.test, DIGITS[:4].reshape(4, 12))
    assert "MNIST" in split.source


def test_a_set_without_test_samples_gives_a_fifth_of_its_own(tmp_path):
    split = load_split(written(tmp_path, mnist(test=False)))
    assert np.bincount(split.test_labels).tolist() == [2, 2]
    assert len(split.train) == 16


def test_cifar_10_is_read_in_both_versions(tmp_path):
    labels = np.arange(10)
    python = five([python_batch(IMAGES[i : i + 2], labels[i : i + 2]) for i in range(0, 10, 2)])
    python |= {"test_batch": python_batch(IMAGES[::-1], labels)}
    binary = five([b"".join(binary_batch(IMAGES[j : j + 1], j) for j in (i, i + 1)) for i in range(0, 10, 2)], ".bin")
    binary |= {"test_batch.bin": b"".join(binary_batch(image[None], i) for i, image in enumerate(IMAGES[::-1]))}
    for name, contents in (("python", python), ("binary", binary)):
        split = load_split(written(tmp_path / name, contents))
        assert np.array_equal(split.train, IMAGES)
        assert np.array_equal(split.train_labels, labels)
        assert np.array_equal(split.test, IMAGES[::-1])
        assert split.classes == 10


def test_cifar_100_is_read_with_its_fine_classes(tmp_path):
    batch = {b"fine_labels": list(range(90, 100)), b"coarse_labels": [0] * 10, b"data": IMAGES}
    contents = {"train": pickle.dumps(batch, protocol=2), "test": python_batch(IMAGES[:3], [5, 6, 7], "fine_labels")}
    folder = written(tmp_path / "cifar-100-python", contents)
    split = load_split(str(tmp_path))
    assert np.array_equal(split.train_labels, np.arange(90, 100))
    assert np.array_equal(split.test, IMAGES[:3])
    assert split.classes == 100
    assert np.array_equal(load(folder).x, IMAGES), "and its training images without labels"


def test_arrays_are_read_by_their_names(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, x=DIGITS, y=LABELS)
    assert len(load_split(str(path)).test) == 4
    np.savez(path, x=DIGITS, y=LABELS, x_test=DIGITS[:3], y_test=LABELS[:3])
    assert np.array_equal(load_split(str(path)).test, DIGITS[:3].reshape(3, 12))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": DIGITS}, "`spec` must name data with labels, got .* without `y`"),
        (
            {"x": DIGITS, "y": LABELS[:5]},
            r"a class, a whole number from 0, for each of 20 samples, got labels of shape \(5,\)",
        ),
        ({"x": DIGITS, "y": LABELS + 0.5}, "dtype float64; number the classes"),
        ({"x": DIGITS, "y": LABELS - 1}, "a whole number from 0"),
    ],
)
def test_arrays_without_classes_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        load_split(str(tmp_path / "own.npz"))


@pytest.mark.parametrize(
    ("contents", "error", "message"),
    [
        ({"train-images-idx3-ubyte": idx(DIGITS)}, FileNotFoundError, "without train-labels-idx1-ubyte; fetch it"),
        (mnist(idx_labels(LABELS)[:-1]), ValueError, r"has 19 labels where its header says \(20,\)"),
        (mnist(idx_labels(LABELS, 0x803)), ValueError, "an intact idx file of labels .* which begins with 0x00000803"),
        (mnist(b"\0\0"), ValueError, "ends after 2 bytes of its 8-byte header"),
        (mnist(idx_labels(LABELS[:5])), ValueError, "for each of 20 samples"),
        ({"notes": b""}, ValueError, "got .* with none; name the folder of one"),
        (mnist() | {"train": b""}, ValueError, "got .* with MNIST in .*, CIFAR-100"),
        ({BATCHES[0]: b""}, FileNotFoundError, "without data_batch_2, data_batch_3"),
        ({"train": pickle.dumps({b"data": IMAGES}, protocol=2)}, ValueError, "which holds no list of 10 of them"),
        ({"train": python_batch(IMAGES, range(9))}, ValueError, "which holds no list of 10 of them"),
        ({"train": pickle.dumps([1], protocol=2)}, ValueError, "which holds no array `data`"),
    ],
)
def test_broken_folders_are_refused(tmp_path, contents, error, message):
    with pytest.raises(error, match=message):
        load_split(written(tmp_path, contents))


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("digit", ValueError, "`spec` must be one of digits, got 'digit'; did you mean 'digits'"),
        ("a/b", FileNotFoundError, "`spec` must name what exists, got a/b"),
        (__file__, ValueError, "`spec` must name data with labels, got .*; name a folder with MNIST"),
    ],
)
def test_what_has_no_labels_is_refused(spec, error, message):
    with pytest.raises(error, match=message):
        load_split(spec)
