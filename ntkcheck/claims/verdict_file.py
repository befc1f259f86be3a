"""Verdicts with the answers that they rest on, as a file to commit: CSV, one row a test, which can be judged again."""

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from ntkcheck.claims.check import verdicts
from ntkcheck.claims.evidence import Answers
from ntkcheck.claims.judge import LEVEL, Claim, Outcome, Verdict
from ntkcheck.errors import broken_file
from ntkcheck.stats import Estimate
from ntkcheck.store import Record
from ntkcheck.table import RECORD_DIGITS, csv_text, origins, uncommented

Row = dict[str, str]

_MEASURED = ("value", "sem", "n")
COLUMNS = ("claim", "verdict", "test", "kind", "low", "high", *_MEASURED, "answer", "decides", "check", "parameters")


def to_csv(judged: Mapping[str, Verdict], records: Mapping[str, Record], command: str) -> str:
    """All verdicts as text; floats are written so that reading them gives the same bits.

    Lines that begin with # say how the file was made and where the answers come from; `pandas.read_csv(file, comment="#")`
    leaves them out. `record` is what `ntkcheck store show` takes.

    Args:
        judged: Verdicts by the claim's identifier.
        records: Of the checks, by identifier; those of claims without answers are absent.
        command: What writes the file.
    """
    keys = {id: record.key[:RECORD_DIGITS] for id, record in records.items()}
    places = [{name: text for name, text in r.provenance.items() if name != "rests_on"} for r in records.values()]
    level = f"Verdicts at {LEVEL:.0%} for all intervals together; an answer with n = 0 has no sampling noise."
    comments = [f"command: {command}", level, *origins(places)]
    return csv_text([row | {"record": keys.get(row["claim"], "")} for row in rows(judged)], comments)


def rows(judged: Mapping[str, Verdict]) -> list[Row]:
    """One row a test: bounds, answer, and the claim's verdict and parameters."""
    return [_row(verdict, outcome) for verdict in judged.values() for outcome in verdict.outcomes]


def read(path: Path) -> list[Row]:
    """The rows of a file that `to_csv` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is another kind of file, or a number in it is none.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"`verdicts` must name a file of verdicts, got {str(path)!r}, which is no file; `ntkcheck claims export` writes it."
        )
    found = list(csv.DictReader(uncommented(path.read_text(encoding="utf-8"))))
    try:
        answers(found)
        lacking = set(COLUMNS).difference(*found[:1])
    except (KeyError, TypeError, ValueError) as error:
        raise broken_file("verdicts", path, "a file of verdicts", f"has a row that is none ({error})") from error
    if lacking:
        raise broken_file("verdicts", path, "a file of verdicts", f"has no column {sorted(lacking)[0]}")
    return found


def answers(found: Iterable[Row]) -> dict[str, Answers]:
    """The estimates that the rows hold, by claim and test; None where a test was not measured."""
    by_claim: dict[str, Answers] = {}
    for row in found:
        value, sem, n = (row[name] for name in _MEASURED)
        estimate = Estimate(float(value), float(sem), int(n)) if value else None
        by_claim.setdefault(row["claim"], {})[row["test"]] = estimate
    return by_claim


def differences(found: list[Row], claims: Mapping[str, Claim]) -> list[str]:
    """What in the rows is not as today's claims and bounds have it when the rows' own answers are judged; a sentence each.

    Args:
        found: As read from a file.
        claims: By identifier, with the bounds of today.
    """
    today = {(row["claim"], row["test"]): row for row in rows(verdicts(claims, answers(found)))}
    kept = {(row["claim"], row["test"]): row for row in found}
    unlike = [
        f"{' '.join(place)}: `{name}` is {kept[place][name]!r} there and {row[name]!r} today"
        for place, row in today.items()
        if place in kept
        for name in COLUMNS
        if kept[place][name] != row[name]
    ]
    missing = [f"{' '.join(place)}: has no row there" for place in today if place not in kept]
    unknown = [f"{' '.join(place)}: is there and not among the claims" for place in kept if place not in today]
    disordered = [] if list(kept) == list(today) or missing or unknown else ["the rows are in another order"]
    return unlike + missing + unknown + disordered


def _row(verdict: Verdict, outcome: Outcome) -> Row:
    test, claim = outcome.test, verdict.claim
    measured = outcome.estimate or ("", "", "")
    return {
        "claim": claim.id,
        "verdict": verdict.verdict,
        "test": test.name,
        "kind": "weaker" if test.weaker else "stated",
        "low": str(test.low),
        "high": str(test.high),
        **dict(zip(_MEASURED, map(str, measured), strict=True)),
        "answer": outcome.answer,
        "decides": "yes" if outcome is verdict.decisive else "",
        "check": claim.check or "",
        "parameters": json.dumps(claim.parameters, sort_keys=True) if claim.parameters else "",
    }
