"""The ledger is data: statements, sources and bounds as they stand in the files."""

import math
import tomllib
from pathlib import Path

import pytest

from ntkcheck import claims
from ntkcheck.claims import ledger

IDS = {*(f"MN-{i}" for i in range(1, 8)), "LT-1", "LT-2", "LT-4"}
LEDGER = claims.load()


def test_every_claim_is_there_and_has_its_check():
    assert LEDGER.keys() == IDS
    assert claims.CHECKS.keys() == IDS


@pytest.mark.parametrize("id", sorted(IDS))
def test_a_claim_has_a_statement_a_source_and_tests_with_bounds(id):
    claim = LEDGER[id]
    assert claim.id == id
    assert claim.statement
    assert claim.source
    names = [test.name for test in claim.tests]
    assert len(set(names)) == len(names)
    assert not all(test.weaker for test in claim.tests), "something must be able to refute it"
    for test in claim.tests:
        assert test.says
        assert test.low < test.high
        assert math.isfinite(test.low) or math.isfinite(test.high)


def test_bounds_are_those_of_the_files():
    for path in Path(ledger.__file__).parent.glob("*.toml"):
        for id, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
            written = [
                (test["name"], test.get("low", -math.inf), test.get("high", math.inf)) for test in entry["tests"]
            ]
            assert [(test.name, test.low, test.high) for test in LEDGER[id].tests] == written


def written(tmp_path, monkeypatch, bounds):
    (tmp_path / "paper.toml").write_text(
        '[XX-1]\nstatement = "s"\nsource = "p"\n[[XX-1.tests]]\nname = "q"\nsays = "w"\n' + bounds
    )
    monkeypatch.setattr(ledger, "PAPERS", ("paper",))
    monkeypatch.setattr(ledger.resources, "files", lambda package: tmp_path)
    return ledger.load()


def test_a_claim_is_added_by_writing_it_down(tmp_path, monkeypatch):
    claim = written(tmp_path, monkeypatch, "low = 1\nweaker = true\notherwise = 'o'\n")["XX-1"]
    assert (claim.statement, claim.source) == ("s", "p")
    assert claim.tests == (claims.Test("q", "w", 1.0, math.inf, weaker=True, otherwise="o"),)


@pytest.mark.parametrize("bounds", ["low = 2\nhigh = 1\n", "low = 1\nhigh = 1\n", "low = nan\nhigh = 1\n"])
def test_bounds_out_of_order_are_refused(tmp_path, monkeypatch, bounds):
    with pytest.raises(ValueError, match="claim XX-1, test 'q': `low` must be below `high`, got "):
        written(tmp_path, monkeypatch, bounds)
