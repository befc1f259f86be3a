"""The committed verdicts and README's table are those of today's claims and bounds."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ntkcheck import claims
from ntkcheck.__main__ import app
from ntkcheck.claims import readme, verdict_file
from ntkcheck.stats import Estimate

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMITTED = ROOT / "figures" / "data" / "verdicts.csv"
OWN = Path(__file__).parent / "own" / "he.toml"
LEDGER = claims.load()

NOISY = claims.Test("noisy", "a sampled quantity", low=0.9, high=1.1)
EXACT = claims.Test("exact", "a closed form", low=2.0, high=float("inf"), weaker=True)
UP = claims.Claim(
    "UP-1", "One | is one.", "A made-up paper", (NOISY, EXACT), check="up:one", parameters={"b": [1], "a": 0.5}
)
MISSING = replace(UP, id="UP-2", tests=(NOISY,), parameters={}, needs="a telescope")
MADE_UP = {"UP-1": UP, "UP-2": MISSING}
ANSWERS: dict[str, claims.Answers] = {
    "UP-1": {"noisy": Estimate(1 / 3 + 2 / 3, 0.01, 25), "exact": Estimate(0.1 + 0.2, 0.0, 0)}
}


@pytest.fixture(scope="module")
def committed():
    return verdict_file.read(COMMITTED)


@pytest.fixture(scope="module")
def made_up():
    return verdict_file.rows(claims.verdicts(MADE_UP, ANSWERS))


def test_the_committed_answers_judged_by_todays_bounds_give_the_committed_verdicts(committed):
    assert verdict_file.differences(committed, LEDGER) == []
    assert list(dict.fromkeys(row["claim"] for row in committed)) == list(LEDGER)


def test_the_table_of_the_readme_is_that_of_the_committed_verdicts(committed):
    table = readme.table(claims.verdicts(LEDGER, verdict_file.answers(committed)))
    assert readme.insert(README, table) == README
    # Power: another verdict or another number is another text.
    for pattern, changed in ((r"\| (supported|untested) \|", "| refuted |"), (r"\d\(\d\)", "9(9)")):
        assert (
            readme.insert(re.sub(pattern, changed, README, count=1), table)
            == README
            != re.sub(pattern, changed, README)
        )


def test_the_committed_file_says_where_its_numbers_come_from(committed):
    head = [line for line in COMMITTED.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
    assert any("revision" in line and "device" in line for line in head)
    measured = {row["claim"] for row in committed if row["value"]}
    assert measured
    assert {row["claim"] for row in committed if row["record"]} == measured


def test_every_shipped_claim_has_its_few_words():
    assert list(readme.IN_A_FEW_WORDS) == list(LEDGER)
    assert all(len(words) <= 72 and "|" not in words for words in readme.IN_A_FEW_WORDS.values())


def test_rows_as_they_were_written_have_no_differences(made_up):
    assert verdict_file.differences(made_up, MADE_UP) == []


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("verdict", "supported", "UP-1 noisy: `verdict` is 'supported' there and 'qualified' today"),
        ("value", "1.2", "UP-1 noisy: `verdict` is 'qualified' there and 'refuted' today"),
        ("sem", "0.1", "UP-1 noisy: `answer` is 'inside' there and 'straddles' today"),
        ("low", "0.8", "UP-1 noisy: `low` is '0.8' there and '0.9' today"),
        ("high", "inf", "UP-1 noisy: `high` is 'inf' there and '1.1' today"),
        ("kind", "weaker", "UP-1 noisy: `kind` is 'weaker' there and 'stated' today"),
        ("parameters", '{"a": 1}', 'UP-1 noisy: `parameters` is \'{"a": 1}\' there and \'{"a": 0.5, "b": [1]}\' today'),
        ("check", "", "UP-1 noisy: `check` is '' there and 'up:one' today"),
        ("test", "noisier", "UP-1 noisier: is there and not among the claims"),
    ],
)
def test_a_changed_row_is_told(made_up, column, value, told):
    assert told in verdict_file.differences([made_up[0] | {column: value}, *made_up[1:]], MADE_UP)


def test_a_row_more_or_less_or_out_of_order_is_told(made_up):
    assert "UP-2 noisy: has no row there" in verdict_file.differences(made_up[:-1], MADE_UP)
    assert "UP-2 noisy: is there and not among the claims" in verdict_file.differences(made_up, {"UP-1": UP})
    assert verdict_file.differences(made_up[::-1], MADE_UP) == ["the rows are in another order"]


def test_a_bound_that_was_changed_since_is_told(made_up):
    moved = {**MADE_UP, "UP-1": replace(UP, tests=(replace(NOISY, low=1.05), EXACT))}
    told = verdict_file.differences(made_up, moved)
    assert "UP-1 noisy: `low` is '0.9' there and '1.05' today" in told
    assert "UP-1 noisy: `verdict` is 'qualified' there and 'refuted' today" in told


def test_the_file_gives_back_the_answers_bit_by_bit(tmp_path, made_up):
    file = tmp_path / "verdicts.csv"
    file.write_text(verdict_file.to_csv(claims.verdicts(MADE_UP, ANSWERS), {}, "a command"))
    found = verdict_file.read(file)
    assert [{name: row[name] for name in verdict_file.COLUMNS} for row in found] == made_up
    assert verdict_file.answers(found) == {**ANSWERS, "UP-2": {"noisy": None}}


def test_the_table_has_the_number_that_decided_with_its_interval_and_what_is_asked():
    rows = readme.table(claims.verdicts(MADE_UP, ANSWERS)).splitlines()
    assert rows[0] == "2 claims: 1 qualified, 1 untested."
    assert rows[-2] == r"| UP-1 | One \| is one. | qualified | `exact` | 0.3 | at least 2 |"
    assert rows[-1] == r"| UP-2 | One \| is one. | untested | `noisy` | needs a telescope | 0.9 to 1.1 |"
    # Student's t with 24 degrees of freedom at 99%, one interval with noise among all: 2.7969 standard errors.
    supported = readme.table(claims.verdicts({"UP-2": MISSING}, {"UP-2": ANSWERS["UP-1"]})).splitlines()[-1]
    assert supported.endswith("| supported | `noisy` | 1.000(10), [0.972, 1.028] | 0.9 to 1.1 |")


@pytest.mark.parametrize("text", ["no marks", readme.END + readme.BEGIN, (readme.BEGIN + readme.END) * 2])
def test_a_text_without_its_two_marks_is_refused(text):
    with pytest.raises(ValueError, match=r"`readme` must have the marks .* once each, in this order"):
        readme.insert(text, "table")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no column answer"),
        ("a,b\n1,2\n", "has a row that is none"),
        ("claim,test,value,sem,n\nUP-1,noisy,one,0,0\n", "has a row that is none"),
        ("claim,test,value,sem,n\nUP-1,noisy,1,0,0\n", "has no column answer"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, text, reason):
    file = tmp_path / "verdicts.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=f"`verdicts` must name a file of verdicts, got .*, which {reason}"):
        verdict_file.read(file)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`verdicts` must name a file of verdicts, got '.*', which is no file"):
        verdict_file.read(tmp_path / "nothing.csv")


def command(folder, *arguments):
    store = ["--store", str(folder / "store.db"), "--own", str(OWN)]
    return CliRunner().invoke(app, ["claims", *store, *map(str, arguments)])


def test_the_commands_write_the_file_and_the_table(tmp_path):
    file, text = tmp_path / "verdicts.csv", tmp_path / "README.md"
    text.write_text(f"before\n{readme.BEGIN}\nthe old table\n{readme.END}\nafter\n")
    assert command(tmp_path, "check", "HE-1").exit_code == 0
    assert command(tmp_path, "export", file).exit_code == 0
    assert command(tmp_path, "readme", text, "--verdicts", file).exit_code == 0
    kept = json.loads(command(tmp_path, "show", "HE-1", "--json").stdout)
    row = next(row for row in verdict_file.read(file) if row["claim"] == "HE-1")
    assert row["record"] == kept["record"]
    assert float(row["value"]) == kept["value"]
    written = text.read_text()
    assert re.search(r"^before\n.*\| HE-1 \| He initialisation .* \| supported \| .*after\n$", written, re.DOTALL)
    assert "the old table" not in written
    # Power: by the shipped claims alone the file is out of date, and the table stays as it is.
    found = CliRunner().invoke(app, ["claims", "readme", str(text), "--verdicts", str(file)])
    assert found.exit_code == 2
    assert "HE-1 growth: is there and not among the claims; export again" in found.stderr.replace("\n", " ")
    assert text.read_text() == written
