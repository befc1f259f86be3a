"""Data sets from folders in the formats in which MNIST and CIFAR-10 are published."""

import gzip
import os
import pickle
import struct
from typing import ClassVar

import numpy as np
import pytest

from ntkcheck.data import load

RNG = np.random.default_rng(0)
DIGITS = RNG.integers(0, 256, (5, 3, 4), dtype=np.uint8)
IMAGES = RNG.integers(0, 256, (10, 3072), dtype=np.uint8)
BATCHES = [f"data_batch_{i}" for i in range(1, 6)]


def idx(images, magic=0x00000803):
    """The bytes of an idx file, as the MNIST page describes it."""
    return struct.pack(">IIII", magic, *images.shape) + images.tobytes()


PACKED = gzip.compress(idx(DIGITS), mtime=0)  # without the time: the tests' names hold it


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as the `str` of Python 2, which wrote the published batches."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, value):
        content = value.encode() if isinstance(value, str) else value
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)

    dispatch[str] = dispatch[bytes] = save_string


def python_batch(images, tmp_path):
    """The bytes of a batch of the Python version: protocol 2, NumPy's modules by their old names."""
    batch = {
        "batch_label": "training batch 1 of 5",
        "labels": [3] * len(images),
        "data": images,
        "filenames": ["a.png"],
    }
    path = tmp_path / "scratch"
    with path.open("wb") as file:
        Python2Pickler(file, protocol=2).dump(batch)
    content = path.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    path.unlink()
    return content


def binary_batch(images, label=9):
    return b"".join(bytes([label]) + image.tobytes() for image in images)


def written(folder, contents):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return str(folder)


def five(contents, suffix=""):
    return {name + suffix: content for name, content in zip(BATCHES, contents, strict=True)}


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("train-images-idx3-ubyte", bytes),
        ("train-images-idx3-ubyte.gz", gzip.compress),
        ("t10k-images-idx3-ubyte", bytes),
        ("t10k-images-idx3-ubyte.gz", gzip.compress),
    ],
)
@pytest.mark.parametrize("subfolder", ["", "raw"])
def test_mnist_folder_or_its_parent_is_read(tmp_path, name, pack, subfolder):
    written(tmp_path / "mnist" / subfolder, {name: pack(idx(DIGITS))})
    data = load(str(tmp_path / "mnist"))
    assert data.name == "mnist"
    assert name in data.source
    assert np.array_equal(data.x, DIGITS.reshape(5, 12))


def test_training_images_go_before_test_images(tmp_path):
    contents = {"t10k-images-idx3-ubyte": idx(DIGITS[:2]), "train-images-idx3-ubyte.gz": gzip.compress(idx(DIGITS))}
    assert load(written(tmp_path, contents)).x.shape == (5, 12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx(DIGITS)[:-1], r"has 59 pixels where its header says \(5, 3, 4\); fetch or write the file again"),
        (idx(DIGITS) + b"\0", r"has 61 pixels where its header says \(5, 3, 4\)"),
        (idx(DIGITS)[:11], "ends after 11 bytes of its 16-byte header"),
        (b"", "ends after 0 bytes of its 16-byte header"),
        (idx(DIGITS, magic=0x00000801), "an intact idx file of images .* which begins with 0x00000801"),
        (PACKED, "which begins with 0x1f8b"),
        (idx(DIGITS[:1]), "`spec` must hold at least 2 samples, got 1"),
    ],
)
def test_broken_idx_file_is_refused(tmp_path, content, message):
    folder = written(tmp_path, {"train-images-idx3-ubyte": content})
    with pytest.raises(ValueError, match=message):
        load(folder)


@pytest.mark.parametrize("content", [PACKED[:-9], PACKED[:30], idx(DIGITS)])
def test_broken_gzip_file_is_refused(tmp_path, content):
    folder = written(tmp_path, {"train-images-idx3-ubyte.gz": content})
    with pytest.raises(
        ValueError, match=r"an intact gzip file, got .*train-images-idx3-ubyte.gz, which cannot be unpacked"
    ):
        load(folder)


@pytest.mark.parametrize("subfolder", ["", "cifar-10-batches-py"])
def test_python_version_of_cifar_is_read_in_the_order_of_its_batches(tmp_path, subfolder):
    batches = five([python_batch(IMAGES[2 * i : 2 * i + 2], tmp_path) for i in range(5)])
    batches["test_batch"] = python_batch(IMAGES[::-1], tmp_path)
    written(tmp_path / "cifar" / subfolder, batches)
    data = load(str(tmp_path / "cifar"))
    assert "CIFAR-10, Python version: data_batch_1" in data.source
    assert np.array_equal(data.x, IMAGES)


@pytest.mark.parametrize("subfolder", ["", "cifar-10-batches-bin"])
def test_binary_version_of_cifar_is_read_in_the_order_of_its_batches(tmp_path, subfolder):
    batches = five([binary_batch(IMAGES[2 * i : 2 * i + 2]) for i in range(5)], ".bin")
    written(tmp_path / "cifar" / subfolder, batches)
    assert np.array_equal(load(str(tmp_path / "cifar")).x, IMAGES)


def test_test_batch_is_read_where_it_is_alone(tmp_path):
    assert np.array_equal(load(written(tmp_path / "a", {"test_batch.bin": binary_batch(IMAGES)})).x, IMAGES)
    assert np.array_equal(load(written(tmp_path / "b", {"test_batch": python_batch(IMAGES, tmp_path)})).x, IMAGES)


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("array", [IMAGES, np.asfortranarray(IMAGES)])
def test_batch_that_python_3_wrote_again_is_read(tmp_path, protocol, array):
    folder = written(tmp_path, {"test_batch": pickle.dumps({b"data": array, b"labels": [1]}, protocol)})
    assert np.array_equal(load(folder).x, IMAGES)


def test_incomplete_set_of_batches_is_refused(tmp_path):
    batches = five([binary_batch(IMAGES)] * 5, ".bin")
    del batches["data_batch_2.bin"], batches["data_batch_4.bin"]
    with pytest.raises(FileNotFoundError, match=r"without data_batch_2.bin, data_batch_4.bin; fetch the missing files"):
        load(written(tmp_path, batches))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (binary_batch(IMAGES)[:-1], "has 30729 bytes, no multiple of 3073"),
        (b"", "has 0 bytes, no multiple of 3073"),
        (binary_batch(IMAGES, label=10), "an intact binary CIFAR-10 batch .* has the label 10, above 9"),
    ],
)
def test_broken_binary_batch_is_refused(tmp_path, content, message):
    folder = written(tmp_path, {"test_batch.bin": content})
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_python_batch_that_is_cut_anywhere_is_refused(tmp_path):
    content = python_batch(IMAGES[:1], tmp_path)
    for kept in [*range(0, 200, 7), *range(200, len(content), 401), len(content) - 1]:
        folder = written(tmp_path / "cut", {"test_batch": content[:kept]})
        with pytest.raises(ValueError, match=r"got .*test_batch, which cannot be unpickled"):
            load(folder)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([1, 2], "holds no array `data`"),
        ({b"labels": [1]}, "holds no array `data`"),
        ({b"data": [1, 2]}, "holds no array `data`"),
        ({b"data": IMAGES[:, :100]}, r"holds `data` of dtype u1 and shape \(10, 100\)"),
        ({b"data": IMAGES.ravel()}, r"holds `data` of dtype u1 and shape \(30720,\)"),
        ({b"data": IMAGES.astype(np.float32)}, r"holds `data` of dtype f4 and shape \(10, 3072\)"),
        ({b"data": IMAGES.astype(object)}, "whose shape or content is none"),
    ],
)
def test_pickle_that_is_no_batch_is_refused(tmp_path, batch, message):
    folder = written(tmp_path, {"test_batch": pickle.dumps(batch, 2)})
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_python_batch_whose_shape_does_not_fit_its_bytes_is_refused(tmp_path):
    content = pickle.dumps({b"data": IMAGES}, 2)
    ten_rows, more_rows = b"K\x0aM\x00\x0c", b"K\x63M\x00\x0c"  # the integers 10 and 3072, 99 and 3072
    assert content.count(ten_rows) == 1
    folder = written(tmp_path, {"test_batch": content.replace(ten_rows, more_rows)})
    with pytest.raises(ValueError, match=r"holds 30720 bytes for shape \(99, 3072\)"):
        load(folder)


class Calls:
    """Unpickling this calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_malicious_batch_is_refused_and_not_run(tmp_path, protocol):
    made = tmp_path / "made"
    content = pickle.dumps({b"data": IMAGES, b"labels": Calls(os.mkdir, str(made))}, protocol)
    with pytest.raises(ValueError, match=r"cannot be unpickled \(it asks for \w+\.mkdir, which no batch needs\)"):
        load(written(tmp_path / "bad", {"test_batch": content}))
    assert not made.exists()
    # Power: the same pickle does run where it is not refused.
    pickle.loads(content)
    assert made.exists()


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [(eval, ("1",), "eval"), (getattr, ("", "join"), "getattr"), (np.load, ("a.npy",), "load"), (set, ((),), "set")],
)
def test_no_other_function_is_reached_by_a_batch(tmp_path, function, arguments, name):
    content = pickle.dumps({b"data": Calls(function, *arguments)}, 2)
    with pytest.raises(ValueError, match=rf"it asks for \w+\.{name}, which no batch needs"):
        load(written(tmp_path, {"test_batch": content}))


def test_folder_without_a_data_set_says_what_it_holds(tmp_path):
    with pytest.raises(
        ValueError, match=r"in the format of MNIST, CIFAR-10 or CIFAR-100, got .*, which is empty; name the folder"
    ):
        load(str(tmp_path))
    written(tmp_path, {"b.png": b"", "a.png": b"", "c.png": b"", "d.png": b""})
    with pytest.raises(
        ValueError, match=r"which holds a.png, b.png, c.png, ...; name the folder that holds train-images"
    ):
        load(str(tmp_path))


def test_folder_with_two_data_sets_is_refused(tmp_path):
    written(tmp_path / "mnist", {"train-images-idx3-ubyte": idx(DIGITS)})
    written(tmp_path / "cifar", {"test_batch.bin": binary_batch(IMAGES)})
    with pytest.raises(
        ValueError, match=r"with one data set, got .* with CIFAR-10, binary version in .*, MNIST in .*; name"
    ):
        load(str(tmp_path))
    assert load(str(tmp_path / "mnist")).x.shape == (5, 12)
