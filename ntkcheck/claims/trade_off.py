"""Settings of normalisers in the plane of conditioning and SND: which of them another one dominates."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

ROUNDING = 1e-9  # relative; the whitenings' condition numbers are the same but for this


class Setting(NamedTuple):
    """A normaliser with its group size and iterations, by independent set; smaller is better in both.

    Attributes:
        normalizer: Its name.
        condition: Condition number of the output's covariance.
        snd: Its SND.
    """

    normalizer: str
    condition: Float[np.ndarray, " sets"]
    snd: Float[np.ndarray, " sets"]


def dominates(one: Setting, other: Setting) -> bool:
    """Whether `one` is better in both by more than two standard errors of the paired difference."""
    return _smaller(one.condition, other.condition) and _smaller(one.snd, other.snd)


def dominated(settings: Iterable[Setting], by: Sequence[Setting]) -> list[Setting]:
    """Those of `settings` that one of `by` dominates."""
    return [setting for setting in settings if any(dominates(one, setting) for one in by)]


def _smaller(a: np.ndarray, b: np.ndarray) -> bool:
    difference = b - a
    noise = 2 * difference.std(ddof=1) / len(difference) ** 0.5
    return bool(difference.mean() > noise + ROUNDING * b.mean())
