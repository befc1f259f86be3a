"""The ways to take the rows of a kernel in turns, from the fastest to the one of least memory, with estimates of their memory."""

import math
from typing import Any

from ntkcheck.empirical.contraction import gram_saves
from ntkcheck.empirical.linearization import Traced, in_turn, residuals
from ntkcheck.empirical.memory import Candidate
from ntkcheck.empirical.rows import Split, tapped_sites
from ntkcheck.empirical.sites import Dense


def whole(batch: int, devices: int, coupled: bool) -> Split:
    """All rows at once; samples apart, in the fewest groups that have a pair for every device."""
    if coupled or devices == 1:
        return Split(-(-batch // devices), 1)
    groups = next(n for n in range(2, devices + 3) if n * (n - 1) // 2 >= devices)
    return Split(-(-batch // groups), 1)


def candidates(network: Traced, outputs: int, devices: int, coupled: bool) -> list[Candidate[Split]]:
    """All splits that are worth trying, with estimates that need not be exact: the compiler's account decides."""
    start = whole(network.shape()[0], devices, coupled)
    splits = _of_rows(start.chunk, in_turn(network)) if coupled else _of_samples(start.chunk, devices)
    return [Candidate(split, _estimate(network, outputs, split, coupled)) for split in splits]


def _halves(number: int) -> list[int]:
    """A number, its half, and so on to 1, rounded up."""
    return [number] if number <= 1 else [number, *_halves(-(-number // 2))]


def _of_rows(rows: int, one_by_one: bool) -> list[Split]:
    """First smaller chunks with all rows held, which costs next to nothing, then fewer rows held, which costs pullbacks.

    Where rows are pulled back one by one anyway, larger chunks are not worth the time of compiling them.
    """
    chunks = [1] if one_by_one else _halves(rows)
    all_held = [Split(chunk, -(-rows // chunk)) for chunk in chunks]
    return all_held + [Split(1, held) for held in _halves(rows)[1:]]


def _of_samples(samples: int, devices: int) -> list[Split]:
    """Two groups, on one device, are no less than all."""
    fewer = _halves(-(-samples // 4) if devices == 1 else samples)
    return [Split(samples, 1), *(Split(group, 1) for group in fewer if group < samples)]


def _estimate(network: Traced, outputs: int, split: Split, coupled: bool) -> float:
    """The bytes of parameters, forward pass, held rows and cotangents, of which about eight of the largest size are alive."""
    batch, _ = network.shape()
    sites = tapped_sites(network, outputs) if coupled else network.samplewise_sites() or {}
    forward = [_bytes(residual) for residual in residuals(network, sites)]
    fixed, cotangents = sum(map(_bytes, [*network.leaves, network.x])), 8 * max(forward)
    taps = {i: math.prod(site.tap_shape()) * site.dtype.itemsize for i, site in sites.items()}
    if not coupled:
        return fixed + (sum(forward) + cotangents + 2 * sum(taps.values())) * min(1.0, 2 * split.chunk / batch)
    grams = {
        i: math.prod(site.stack) * site.positions**2 * site.dtype.itemsize
        for i, site in sites.items()
        if isinstance(site, Dense) and gram_saves(site, batch, outputs)
    }
    row = sum(taps[i] if i in grams else _bytes(network.leaves[i]) for i in network.sites)
    return fixed + sum(grams.values()) + sum(forward) + split.chunk * ((split.chunks + 1) * row + cotangents)


def _bytes(array: Any) -> int:
    return math.prod(array.shape) * array.dtype.itemsize
