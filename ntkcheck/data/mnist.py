"""Images and labels in the idx format, in which MNIST is published."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from ntkcheck.errors import broken_file

# Two zero bytes, 0x08 for unsigned bytes, and the number of dimensions: of images samples, rows and columns.
_MAGIC, _LABELS_MAGIC = b"\x00\x00\x08\x03", b"\x00\x00\x08\x01"
_KIND = "an intact idx file of images (magic number 0x00000803)"
_LABELS_KIND = "an intact idx file of labels (magic number 0x00000801)"


def read_idx(path: Path) -> UInt8[np.ndarray, "samples rows columns"]:
    """The images of an idx file, compressed or not: magic number, three big-endian 32-bit sizes, and the pixels.

    Source: LeCun, Cortes and Burges, The MNIST database of handwritten digits, "The IDX file format".
    """
    return _read(path, _MAGIC, _KIND, "pixels")


def read_idx_labels(path: Path) -> Int[np.ndarray, " samples"]:
    """The classes in an idx file, compressed or not: magic number, a big-endian 32-bit count, and a byte a class.

    Source: as of `read_idx`.
    """
    return _read(path, _LABELS_MAGIC, _LABELS_KIND, "labels").astype(np.int64)


def _read(path: Path, magic: bytes, kind: str, entries: str) -> UInt8[np.ndarray, "..."]:
    content, header = _content(path), 4 * (1 + magic[3])
    if len(content) < header:
        raise broken_file("spec", path, kind, f"ends after {len(content)} bytes of its {header}-byte header")
    if content[:4] != magic:
        raise broken_file("spec", path, kind, f"begins with 0x{content[:4].hex()}")
    shape = tuple(int(size) for size in np.frombuffer(content[4:header], ">u4"))
    values = np.frombuffer(content, np.uint8, offset=header)
    if len(values) != math.prod(shape):
        raise broken_file("spec", path, kind, f"has {len(values)} {entries} where its header says {shape}")
    return values.reshape(shape)


def _content(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise broken_file("spec", path, "an intact gzip file", f"cannot be unpacked ({error})") from error
