"""The command `ntkcheck claims`: list, show, check, and claims of one's own."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ntkcheck import claims
from ntkcheck.__main__ import app
from ntkcheck.store import Store

OWN = Path(__file__).parent / "own" / "he.toml"
QUICK = ("MN-3", "LT-2")  # which need no networks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ledger")


def command(folder, *arguments, own=()):
    options = [part for path in own for part in ("--own", path)]
    return CliRunner().invoke(app, ["claims", "--store", str(folder / "store.db"), *map(str, [*options, *arguments])])


@pytest.fixture(scope="module")
def checked(folder):
    found = command(folder, "check", *QUICK, "HE-1", "HE-2", "--json", own=[OWN])
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def test_claims_are_checked_and_judged(checked):
    assert {id: entry["verdict"] for id, entry in checked.items()} == {
        "MN-3": "refuted",
        "LT-2": "supported",
        "HE-1": "supported",
        "HE-2": "refuted",
    }


def test_the_list_has_every_claim_with_what_the_store_knows_of_it(checked, folder):
    found = json.loads(command(folder, "--json", own=[OWN]).stdout)
    assert list(found) == list(claims.load([OWN]))
    assert {id: entry["verdict"] for id, entry in found.items() if id in checked} == {
        id: entry["verdict"] for id, entry in checked.items()
    }
    others = [entry for id, entry in found.items() if id not in checked]
    assert {entry["verdict"] for entry in others} == {"untested"}
    assert all("claims check" in entry["reason"] or "no check" in entry["reason"] for entry in others)
    table = command(folder, own=[OWN]).stdout
    for id, entry in found.items():
        assert re.search(rf"│ {id} +│ {entry['verdict']} ", table)
        assert entry["statement"].split()[0] in table


def test_everything_about_a_claim_is_shown(checked, folder):
    words = " ".join(command(folder, "show", "MN-3").stdout.split())
    claim = claims.load()["MN-3"]
    for text in (
        claim.statement[:40],
        claim.source[:40],
        "refuted",
        "printed_factor",
        "derived_factor",
        "[0.98, 1.02]",
        "20000",
    ):
        assert text in words
    assert re.search(r"python 3\.\d+", words)
    found = json.loads(command(folder, "show", "MN-3", "--json").stdout)
    assert found["record"] in words
    assert found["parameters"]["experiment"]["depth"] == 50
    assert found["stale"] is None


def test_what_was_checked_is_not_checked_again_unless_asked(checked, folder):
    def started():
        return json.loads(command(folder, "show", "HE-1", "--json", own=[OWN]).stdout)["measured"]["started"]

    before = started()
    assert command(folder, "check", "HE-1", own=[OWN]).exit_code == 0
    assert started() == before
    assert command(folder, "check", "HE-1", "--fresh", own=[OWN]).exit_code == 0
    assert started() > before


def test_verdicts_on_older_code_are_told(checked, folder, tmp_path):
    copy = tmp_path / "he.toml"
    copy.write_text(OWN.read_text())
    source = OWN.with_suffix(".py").read_text()
    (tmp_path / "he.py").write_text(source)
    store = tmp_path / "here"
    store.mkdir()
    assert command(store, "check", "HE-1", own=[copy]).exit_code == 0
    assert json.loads(command(store, "--stale", "--json", own=[copy]).stdout) == {}
    store_of_older_code(store)
    stale = json.loads(command(store, "--stale", "--json", own=[copy]).stdout)
    assert list(stale) == ["HE-1"]
    assert stale["HE-1"]["stale"].startswith("rests on older code")


def store_of_older_code(folder):
    """As if the check's code had been another when it was measured."""
    with Store(folder / "store.db") as store:
        store.replace(*(replace(r, provenance=r.provenance | {"code": "0123"}) for r in store.records()))


def test_options_may_follow_the_command(checked, folder):
    path = str(folder / "store.db")
    found = CliRunner().invoke(app, ["claims", "show", "HE-1", "--store", path, "--own", str(OWN), "--json"])
    assert json.loads(found.stdout)["verdict"] == "supported"


@pytest.mark.parametrize(
    ("arguments", "own", "message"),
    [
        (["show", "MN-33"], [], "`ids` must be one of MN-1, .*, got 'MN-33'; did you mean 'MN-3'"),
        (["check", "mn3"], [], "`ids` must be one of MN-1, .*, got 'mn3'"),
        ([], ["nowhere.toml"], r"nowhere\.toml"),
    ],
)
def test_bad_input_is_told_in_one_line(tmp_path, arguments, own, message):
    found = command(tmp_path, *arguments, own=own)
    assert found.exit_code == 2
    assert found.stdout == ""
    assert re.search(rf"^error: .*{message}", found.stderr)


def test_a_damaged_store_is_told_in_one_line(tmp_path):
    (tmp_path / "store.db").write_bytes(b"no store" * 1000)
    found = command(tmp_path)
    assert found.exit_code == 2
    assert re.search(r"^error: .*store\.db", found.stderr)
