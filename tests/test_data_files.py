"""Data sets from NumPy's files: what is read, and what is refused with a reason."""

import math
import os
import pickle

import numpy as np
import pytest

from ntkcheck.data import load

X = np.arange(24.0).reshape(4, 6)


def saved(path, array):
    np.save(path, array)
    return str(path)


def test_npy_is_read_in_float64(tmp_path):
    data = load(saved(tmp_path / "mine.npy", X.astype(np.float32)))
    assert (data.name, data.source) == ("mine", str(tmp_path / "mine.npy"))
    assert data.x.dtype == np.float64
    assert np.array_equal(data.x, X)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float16, np.bool_])
def test_npy_of_any_real_type_is_read(tmp_path, dtype):
    assert np.array_equal(load(saved(tmp_path / "mine.npy", X.astype(dtype))).x, X.astype(dtype))


def test_images_are_flattened_per_sample(tmp_path):
    assert np.array_equal(load(saved(tmp_path / "mine.npy", X.reshape(4, 3, 2, 1))).x, X)
    assert np.array_equal(load(saved(tmp_path / "other.npy", np.asfortranarray(X))).x, X)


@pytest.mark.parametrize("arrays", [{"anything": X}, {"x": X, "labels": np.arange(4)}])
def test_npz_is_read_with_one_array_or_the_key_x(tmp_path, arrays):
    np.savez_compressed(tmp_path / "mine.npz", **arrays)
    assert np.array_equal(load(str(tmp_path / "mine.npz")).x, X)


def test_file_named_like_a_data_set_is_read_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "digits.npy", X)
    assert np.array_equal(load("digits.npy", samples=4).x, X)
    assert load("digits.npy", samples=2).x.shape == (2, 6)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.arange(6.0), r"`spec` must have shape \(samples, features\), got \(6,\); use x.reshape"),
        (np.float64(3.0), r"`spec` must have shape \(samples, features\), got \(\)"),
        (np.ones((4, 0)), r"`spec` must have shape \(samples, features\), got \(4, 0\)"),
        (np.ones((1, 6)), "`spec` must hold at least 2 samples, got 1"),
        (np.ones((0, 6)), "`spec` must hold at least 2 samples, got 0"),
        (np.where(X == 15, math.nan, X), r"`spec` must be finite, got nan in sample 2 \(1 of 4 samples are affected\)"),
        (
            np.where(X > 15, -math.inf, X),
            r"`spec` must be finite, got -inf in sample 2 \(2 of 4 samples are affected\)",
        ),
        (X.astype(complex), "`spec` must hold real numbers, got dtype complex128; convert it to float64"),
        (X.astype(str), "`spec` must hold real numbers, got dtype <U"),
        (X.astype(object), "cannot be read .*Object arrays cannot be loaded when allow_pickle=False"),
    ],
)
def test_npy_that_is_no_population_is_refused(tmp_path, array, message):
    path = saved(tmp_path / "mine.npy", array)
    with pytest.raises(ValueError, match=message):
        load(path)


def test_npz_without_a_clear_choice_is_refused(tmp_path):
    np.savez(tmp_path / "mine.npz", train=X, test=X)
    with pytest.raises(ValueError, match=r"one array or the key `x`, got .*mine.npz with train, test; write it with"):
        load(str(tmp_path / "mine.npz"))
    np.savez(tmp_path / "empty.npz")
    with pytest.raises(ValueError, match=r"one array or the key `x`, got .*empty.npz with none"):
        load(str(tmp_path / "empty.npz"))


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.97])
def test_truncated_file_is_refused(tmp_path, suffix, kept):
    path = tmp_path / f"mine.{suffix}"
    noise = np.random.default_rng(0).normal(size=(50, 20))
    np.save(path, noise) if suffix == "npy" else np.savez_compressed(path, x=noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(
        ValueError, match=rf"`spec` must name an intact .npy or .npz file .*got .*mine.{suffix}, which cannot"
    ):
        load(str(path))


def test_npz_with_a_flipped_byte_is_refused(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, x=X)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mine.npz, which cannot be read \(Bad CRC-32"):
        load(str(path))


def test_npy_with_a_damaged_header_is_refused(tmp_path):
    path = tmp_path / "mine.npy"
    np.save(path, X)
    path.write_bytes(path.read_bytes().replace(b"}", b"(", 1))
    with pytest.raises(ValueError, match=r"mine.npy, which cannot be read"):
        load(str(path))


def test_npz_that_claims_to_be_encrypted_is_refused(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, x=X)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flags of the entry in the zip's directory
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mine.npz, which cannot be read \(File 'x.npy' is encrypted"):
        load(str(path))


class Malicious:
    """Unpickling this makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_pickle_that_is_named_npy_is_refused_and_not_run(tmp_path):
    path = tmp_path / "mine.npy"
    path.write_bytes(pickle.dumps(Malicious(tmp_path / "made")))
    with pytest.raises(ValueError, match=r"mine.npy, which cannot be read"):
        load(str(path))
    assert not (tmp_path / "made").exists()


def test_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("1,2\n3,4\n")
    with pytest.raises(
        ValueError, match=r"`spec` must name a file that can be read, got .*mine.csv; name the path of a .npy"
    ):
        load(str(path))


@pytest.mark.parametrize("spec", ["missing.npy", "no/such/folder"])
def test_path_where_nothing_is_says_so(tmp_path, monkeypatch, spec):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"`spec` must name what exists, got {spec}; check the path from"):
        load(spec)
