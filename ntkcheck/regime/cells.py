"""One cell of a run: one normaliser, in infinite or in finite width."""

import functools
from typing import Any

from jaxtyping import Array

import ntkcheck.regime.finite as finite
import ntkcheck.regime.theory as theory
from ntkcheck.measurement import FINITE, INFINITE, Measurement
from ntkcheck.regime.settings import Settings, prepare

SIDES = {INFINITE: theory.measure, FINITE: finite.measure}


def normalizer_regime(
    _: Array, normalizer: Any, side: str, inputs: str, source: str | None = None, **options: Any
) -> list[Measurement]:
    """Every quantity of one normaliser, from parameters alone (`Experiment.cell`).

    The key that is derived from all of them is not used: random networks follow from the option `seed`, so that a deeper or
    wider run, or another normaliser, begins with the same ones.

    Args:
        normalizer: What is tested.
        side: `INFINITE` or `FINITE` width.
        inputs: Digest of the mini-batches.
        source: Digest of the normaliser's file, where it has one.
        options: The other options of `Settings`.

    Raises:
        ValueError: If the data or the normaliser's file are no longer those of the digest.
    """
    experiment = _prepared(Settings(normalizers=(normalizer,), **options))
    found = experiment.cell(normalizer, side)
    for argument, digest, what in (("inputs", inputs, experiment.source), ("source", source, normalizer)):
        if found.get(argument) != digest:
            raise ValueError(
                f"`{argument}` must be the digest of {what}, {found.get(argument)}, got {digest}: it has changed since; "
                "measure it under its new digest."
            )
    (name,) = experiment.networks
    return SIDES[side](experiment, name)


_prepared = functools.lru_cache(maxsize=16)(prepare)
