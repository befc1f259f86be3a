"""The ledger: claims and bounds as they were written down, one TOML file a paper."""

import tomllib
from importlib import resources
from typing import Any

from ntkcheck.claims.judge import Claim, Test

PAPERS = ("mimicnorm", "literature")


def load() -> dict[str, Claim]:
    """Every claim by its identifier, in the order of the papers."""
    folder = resources.files("ntkcheck.claims")
    entries = [(folder / f"{paper}.toml").read_text(encoding="utf-8") for paper in PAPERS]
    return {id: _claim(id, entry) for text in entries for id, entry in tomllib.loads(text).items()}


def _claim(id: str, entry: dict[str, Any]) -> Claim:
    tests = tuple(_test(id, test) for test in entry["tests"])
    return Claim(id, entry["statement"], entry["source"], tests)


def _test(id: str, entry: dict[str, Any]) -> Test:
    low, high = float(entry.pop("low", float("-inf"))), float(entry.pop("high", float("inf")))
    if not low < high:
        raise ValueError(f"claim {id}, test {entry['name']!r}: `low` must be below `high`, got {low} and {high}.")
    return Test(low=low, high=high, **entry)
