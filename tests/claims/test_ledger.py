"""The ledger is data: statements, sources and bounds as they stand in the files, refused where they cannot be judged."""

import importlib
import math
import tomllib
from pathlib import Path

import pytest

from ntkcheck import claims
from ntkcheck.claims import ledger

NUMBERS = {"MN": 11, "IN": 11, "RB": 5, "LT": 7}
IDS = [f"{paper}-{i}" for paper, count in NUMBERS.items() for i in range(1, count + 1)]
CHECKED = {*(f"MN-{i}" for i in range(1, 8)), "LT-1", "LT-2", "LT-4"}
LEDGER = claims.load()
FILES = {path.stem: path for path in Path(ledger.__file__).parent.glob("*.toml")}


def test_every_claim_is_there_in_the_order_of_the_papers():
    assert list(LEDGER) == IDS
    assert {claim.paper for claim in LEDGER.values()} == set(ledger.PAPERS) == set(FILES)
    assert {claim.folder for claim in LEDGER.values()} == {None}


@pytest.mark.parametrize("id", IDS)
def test_a_claim_is_operational(id):
    claim = LEDGER[id]
    assert claim.id == id
    assert all((claim.statement, claim.source, claim.how))
    assert not all(test.weaker for test in claim.tests), "something must be able to refute it"
    for test in claim.tests:
        assert test.says
        assert test.low < test.high
        assert math.isfinite(test.low) or math.isfinite(test.high)


@pytest.mark.parametrize("id", IDS)
def test_a_claim_names_its_paper(id):
    assert "arXiv " in LEDGER[id].source


@pytest.mark.parametrize("id", sorted(CHECKED))
def test_a_check_that_a_claim_names_exists(id):
    module, _, function = LEDGER[id].check.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_claims_that_need_data_or_hardware_name_the_command_that_tests_them():
    needing = {id for id, claim in LEDGER.items() if claim.needs}
    assert needing == {"MN-9", "MN-10", "MN-11", "IN-8", "IN-11"}
    assert all(LEDGER[id].command.startswith(f"ntkcheck claims check {id}") for id in needing)


def test_bounds_are_those_of_the_files():
    for path in FILES.values():
        for id, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
            stated = [(test["name"], test.get("low", -math.inf), test.get("high", math.inf)) for test in entry["tests"]]
            assert [(test.name, test.low, test.high) for test in LEDGER[id].tests] == stated


CLAIM = {"statement": '"s"', "source": '"p"'}
TEST = {"name": '"q"', "says": '"w"', "low": "1"}


def toml(header, fields):
    return "\n".join([header, *(f"{key} = {value}" for key, value in fields.items()), ""])


def written(tmp_path, text):
    (tmp_path / "own.toml").write_text(text)
    return ledger.load([tmp_path / "own.toml"])


def one_claim(tmp_path, fields=CLAIM, tests=(TEST,)):
    text = "".join([toml("[XX-1]", fields), *(toml("[[XX-1.tests]]", test) for test in tests)])
    return written(tmp_path, text)["XX-1"]


def test_a_claim_is_added_by_writing_it_down(tmp_path):
    (tmp_path / "mine.py").write_text("")
    words = {"how": '"h"', "check": '"mine.py:f"', "needs": '"n"', "command": '"c"', "parameters": "{ draws = 10 }"}
    test = TEST | {"weaker": "true", "otherwise": '"o"'}
    claim = one_claim(tmp_path, CLAIM | words, (TEST, test | {"name": '"r"'}))
    assert claim == claims.Claim(
        "XX-1",
        "s",
        "p",
        (
            claims.Test("q", "w", 1.0, math.inf),
            claims.Test("r", "w", 1.0, math.inf, weaker=True, otherwise="o"),
        ),
        how="h",
        check="mine.py:f",
        needs="n",
        command="c",
        parameters={"draws": 10},
        paper="own",
        folder=tmp_path,
    )


@pytest.mark.parametrize("bounds", [{"low": "2", "high": "1"}, {"low": "1", "high": "1"}])
def test_bounds_out_of_order_are_refused(tmp_path, bounds):
    with pytest.raises(
        ValueError, match=r"own.toml, claim XX-1, test 1, 'q': `low` must be below `high`, got [12].0 and "
    ):
        one_claim(tmp_path, tests=(TEST | bounds,))


@pytest.mark.parametrize("value", ["nan", '"1"', "true"])
@pytest.mark.parametrize("key", ["low", "high"])
def test_bounds_that_are_no_numbers_are_refused(tmp_path, key, value):
    with pytest.raises(ValueError, match=rf"own.toml, claim XX-1, test 1, 'q': `{key}` must be a number, got "):
        one_claim(tmp_path, tests=(TEST | {key: value},))


WITHOUT_BOUND = {key: value for key, value in TEST.items() if key != "low"}


@pytest.mark.parametrize(
    ("fields", "tests", "message"),
    [
        (CLAIM | {"chek": '"m:f"'}, [TEST], r": fields must be among .*, got `chek`; did you mean `check`\?"),
        (CLAIM | {"zzz": "1"}, [TEST], ": fields must be among .*, got `zzz`; take it out"),
        (CLAIM, [TEST | {"lower": "1"}], r", test 1: fields must be among .*, got `lower`; did you mean `low`\?"),
        ({"source": '"p"'}, [TEST], ": `statement` must be there, got only source, tests; add it"),
        ({"statement": '"s"'}, [TEST], ": `source` must be there"),
        (CLAIM, [], ": `tests` must be there"),
        (
            CLAIM | {"tests": "[]"},
            [],
            r": `tests` must hold a test at least, got \[\]; write them as \[\[XX-1.tests\]\]",
        ),
        (CLAIM | {"tests": "[1]"}, [], r", test 1 must be a table, got 1; begin it with \[\[XX-1.tests\]\]"),
        (CLAIM | {"statement": '" "'}, [TEST], ": `statement` must be a text, got ' '; write in quotes"),
        (CLAIM | {"how": "1"}, [TEST], ": `how` must be a text, got 1"),
        (CLAIM | {"parameters": "1"}, [TEST], r": `parameters` must be a table, got 1; write \[XX-1.parameters\]"),
        (CLAIM, [{"says": '"w"', "low": "1"}], ", test 1: `name` must be there"),
        (CLAIM, [{"name": '"q"', "low": "1"}], ", test 1: `says` must be there"),
        (CLAIM, [TEST | {"name": "1"}], ", test 1: `name` must be a text, got 1"),
        (CLAIM, [TEST | {"weaker": '"yes"'}], ", test 1: `weaker` must be true or false, got 'yes'"),
        (CLAIM, [TEST, TEST], ": `name` must be unique among its tests, got 'q' twice; rename one"),
        (CLAIM, [TEST | {"weaker": "true"}], ": `weaker` must be false for a test at least"),
        (CLAIM, [WITHOUT_BOUND], ", test 1, 'q': `low` or `high` must be finite, got neither; state a bound"),
        (CLAIM | {"check": '"f"'}, [TEST], ": `check` must read module:function or file.py:function, got 'f'"),
        (CLAIM | {"check": '"a-b:f"'}, [TEST], ": `check` must read module:function or file.py:function, got 'a-b:f'"),
        (CLAIM | {"check": '"m:f()"'}, [TEST], ": `check` must read module:function or file.py:function"),
        (CLAIM | {"check": '"f.py:"'}, [TEST], ": `check` must read module:function or file.py:function"),
        (CLAIM | {"check": '"f.py:f"'}, [TEST], ": `check` must name a Python file .*, got 'f.py', which is not in "),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused_with_a_remedy(tmp_path, fields, tests, message):
    with pytest.raises(ValueError, match=rf"own\.toml, claim XX-1{message}"):
        one_claim(tmp_path, fields, tests)


def test_a_check_may_stand_in_an_installed_module(tmp_path):
    assert one_claim(tmp_path, CLAIM | {"check": '"package.module:f"'}).check == "package.module:f"


def test_an_identifier_is_taken_once(tmp_path):
    with pytest.raises(ValueError, match=r"own.toml, claim MN-1: identifiers must be unique, .*mimicnorm.toml has one"):
        written(tmp_path, toml("[MN-1]", CLAIM))
    one_claim(tmp_path)
    with pytest.raises(ValueError, match=r"claim XX-1: identifiers must be unique, .*own.toml has one .*; rename it"):
        ledger.load([tmp_path / "own.toml", tmp_path / "own.toml"])


def test_a_file_that_is_not_toml_is_refused_with_the_line(tmp_path):
    with pytest.raises(ValueError, match=r"own.toml must be TOML, got a syntax error: .*\(at line 2, column 13\)"):
        written(tmp_path, "[XX-1]\nstatement = s\n")
    with pytest.raises(ValueError, match=r"own.toml must be TOML, got a syntax error: .*line 3"):
        written(tmp_path, "[XX-1]\nsource = 's'\n[XX-1]\n")
    with pytest.raises(
        ValueError, match=r"own.toml, claim statement must be a table, got 's'; begin it with \[statement\]"
    ):
        written(tmp_path, "statement = 's'\n")
    (tmp_path / "own.toml").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"own.toml must be text in UTF-8"):
        ledger.load([tmp_path / "own.toml"])


def test_a_path_where_nothing_is_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`paths` must name TOML files, got '.*none.toml', which is no file"):
        ledger.load([tmp_path / "none.toml"])
