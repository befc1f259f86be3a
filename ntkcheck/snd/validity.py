"""From which batch size on a law holds."""

from collections.abc import Mapping


def holds_from(predicted: Mapping[int, float], measured: Mapping[int, float], tolerance: float = 0.05) -> int | None:
    """The smallest batch size from which on |predicted / measured - 1| <= tolerance, at it and all larger ones measured.

    Args:
        predicted: The law's SND by batch size.
        measured: The measured SND by batch size, the same ones.
        tolerance: Relative, positive.

    Returns:
        The batch size; None if the law misses at the largest.

    Raises:
        ValueError: If the batch sizes differ or there are none.
    """
    if not measured or predicted.keys() != measured.keys():
        raise ValueError(
            f"`predicted` and `measured` must hold the same batch sizes, got {sorted(predicted)} and {sorted(measured)}."
        )
    smallest = None
    for m in sorted(measured, reverse=True):
        if not abs(predicted[m] / measured[m] - 1) <= tolerance:
            break
        smallest = m
    return smallest
