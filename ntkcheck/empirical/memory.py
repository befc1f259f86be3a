"""A budget of memory: how it is written, and which program is within it by the compiler's account."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from jax.stages import Compiled

UNITS = {
    f"{prefix}{unit}": base**power
    for unit, base in (("B", 1000), ("iB", 1024))
    for power, prefix in enumerate("kMGT", 1)
}
UNITS |= {"B": 1, "": 1}
T = TypeVar("T")


class Candidate(NamedTuple, Generic[T]):
    """A way to compute something, and the bytes that it is estimated to take."""

    way: T
    estimate: float


def as_bytes(memory: int | str | None) -> int | None:
    """The bytes in "4GB", "512 MiB" or a number; None stays None.

    Raises:
        ValueError: For anything else, and for less than one byte.
    """
    if memory is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(memory))
    units = {unit.lower(): size for unit, size in UNITS.items()}
    unit = units.get(match[2].lower()) if match else None
    if isinstance(memory, bool) or match is None or unit is None or float(match[1]) * unit < 1:
        raise ValueError(f'`memory` must be a number of bytes or a text like "4GB" or "512 MiB", got {memory!r}.')
    return int(float(match[1]) * unit)


def as_text(size: float) -> str:
    """Bytes to read: 1.63 GB."""
    power = next(power for power in (3, 2, 1, 0) if size >= 1000**power or power == 0)
    return f"{size / 1000**power:.3g} {('B', 'kB', 'MB', 'GB')[power]}"


def peak_bytes(program: Compiled) -> int:
    """Arguments, results and temporary arrays of a program, on each device, by the compiler's account."""
    account: Any = program.memory_analysis()
    return account.argument_size_in_bytes + account.output_size_in_bytes + account.temp_size_in_bytes


def first_within(budget: int, candidates: Sequence[Candidate[T]], build: Callable[[T], Compiled]) -> Compiled:
    """The first of some programs that is within a budget, in their order, which is from large to small.

    Those are not built whose estimate, times the worst ratio seen of account to estimate, is over the budget; the last one is.

    Raises:
        ValueError: Where the last is not within it.
    """
    ratio, used = 1.0, 0
    left = list(candidates)
    while left:
        fitting = [i for i, candidate in enumerate(left) if ratio * candidate.estimate <= budget]
        first = fitting[0] if fitting else len(left) - 1
        candidate, left = left[first], left[first + 1 :]
        program = build(candidate.way)
        used = peak_bytes(program)
        if used <= budget:
            return program
        ratio = max(ratio, used / max(candidate.estimate, 1))
    raise ValueError(
        f"`memory` must be at least {as_text(used)} for this network and batch, got {as_text(budget)}; raise it, take fewer "
        "samples or smaller inputs, or estimate spectrum and trace without the kernel: `largest_eigenvalues`, `ntk_trace`."
    )
