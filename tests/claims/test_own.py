"""The worked example of claims of one's own: a TOML file, a check beside it, verdicts."""

import functools
import runpy
from pathlib import Path

import numpy as np
import pytest

from ntkcheck.claims import judge, load
from ntkcheck.claims.judge import LEVEL
from ntkcheck.stats import bonferroni_level

OWN = Path(__file__).parent / "own" / "he.toml"


class Evidence:
    """What the example's check uses of the evidence."""

    def generator(self, name):
        return np.random.default_rng([0, len(name)])


@functools.cache
def answers(id, factor=1.0):
    """The check's answers, with the claim's gain or a multiple of it."""
    claim = load([OWN])[id]
    file, _, function = claim.check.partition(":")
    gain = claim.parameters["gain"] * factor
    return runpy.run_path(str(claim.folder / file))[function](Evidence(), **(claim.parameters | {"gain": gain}))


def test_own_claims_stand_after_the_shipped_ones():
    claims = load([OWN])
    assert list(claims) == [*load(), "HE-1", "HE-2"]
    assert {(claims[id].paper, claims[id].folder) for id in ("HE-1", "HE-2")} == {("he", OWN.parent)}


@pytest.mark.parametrize(("id", "verdict"), [("HE-1", "supported"), ("HE-2", "refuted")])
def test_the_example_has_one_supported_and_one_refuted_claim(id, verdict):
    # The standard error is 0.0015 (weights: 0.32 (2 / 128)^(1/2) a layer, inputs: (5 / (128 * 64))^(1/2); 1000 layers), so that the
    # bounds lie 6.7 of them from 1, where an interval reaches 2.8: one run in 10 000 would be inconclusive.
    claim = load([OWN])[id]
    judged = judge(claim, answers(id), bonferroni_level(LEVEL, 2))
    assert judged.verdict == verdict
    assert judged.reason.endswith(claim.tests[0].otherwise)


def test_the_growth_is_half_the_gain():
    # E[relu(x)^2] = E[x^2] / 2 and the weights multiply it by the gain. Power: at another gain the same check fails.
    kept, halved, wrong = (answers(*case)["growth"] for case in (("HE-1",), ("HE-2",), ("HE-1", 1.1)))
    assert abs(kept.value - 1) < 4 * kept.sem
    assert abs(halved.value - 0.5) < 4 * halved.sem
    assert abs(wrong.value - 1) > 4 * wrong.sem
