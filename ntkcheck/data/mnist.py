"""Images in the idx format, in which MNIST is published."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ntkcheck.errors import broken_file

# Two zero bytes, 0x08 for unsigned bytes, and three dimensions: samples, rows, columns.
_MAGIC = b"\x00\x00\x08\x03"
_HEADER_BYTES = 16
_KIND = "an intact idx file of images (magic number 0x00000803)"


def read_idx(path: Path) -> UInt8[np.ndarray, "samples rows columns"]:
    """The images of an idx file, compressed or not: magic number, three big-endian 32-bit sizes, and the pixels.

    Source: LeCun, Cortes and Burges, The MNIST database of handwritten digits, "The IDX file format".
    """
    content = _content(path)
    if len(content) < _HEADER_BYTES:
        raise broken_file("spec", path, _KIND, f"ends after {len(content)} bytes of its {_HEADER_BYTES}-byte header")
    if content[:4] != _MAGIC:
        raise broken_file("spec", path, _KIND, f"begins with 0x{content[:4].hex()}")
    shape = tuple(int(size) for size in np.frombuffer(content[4:_HEADER_BYTES], ">u4"))
    pixels = np.frombuffer(content, np.uint8, offset=_HEADER_BYTES)
    if len(pixels) != math.prod(shape):
        raise broken_file("spec", path, _KIND, f"has {len(pixels)} pixels where its header says {shape}")
    return pixels.reshape(shape)


def _content(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise broken_file("spec", path, "an intact gzip file", f"cannot be unpacked ({error})") from error
