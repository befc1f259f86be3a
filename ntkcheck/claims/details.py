"""Everything about one claim, for a terminal."""

from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ntkcheck.claims.check import Checked
from ntkcheck.claims.judge import Verdict
from ntkcheck.claims.table import STYLES
from ntkcheck.measurement import with_error
from ntkcheck.store import Record


def render(verdict: Verdict, found: Checked, rests_on: list[Record], stale: str | None) -> RenderableType:
    """Statement, source, how it is checked, verdict; each test with bounds and measurement; where the numbers come from.

    Args:
        verdict: Of the claim.
        found: Its answers and their record.
        rests_on: Records of the measurements that the check used.
        stale: Why the verdict is out of date, if it is.
    """
    claim = verdict.claim
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    for name, text in {
        "claim": claim.id,
        "statement": claim.statement,
        "source": claim.source,
        "how": claim.how,
        "needs": claim.needs,
        "reason": verdict.reason,
        "stale": stale,
        **provenance(found, rests_on, None),
    }.items():
        if text:
            facts.add_row(name, escape(_words(text)))
        if name == "needs":
            facts.add_row("verdict", Text(verdict.verdict, style=STYLES[verdict.verdict]))
    return Group(facts, _tests(verdict))


def provenance(found: Checked, rests_on: list[Record], stale: str | None) -> dict[str, Any]:
    """Where the answers of a check come from, as nested dictionaries."""
    if found.record is None:
        return {"stale": stale}
    record = found.record
    return {
        "stale": stale,
        "record": record.key[:12],
        "failure": record.failure,
        "parameters": record.parameters,
        "measured": {"started": record.started, "seconds": round(record.seconds, 3)},
        "provenance": {name: text for name, text in record.provenance.items() if name != "rests_on"},
        "rests_on": [f"{used.key[:12]} {used.function} {used.started}" for used in rests_on],
    }


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(item)}" for name, item in value.items())
    return "\n".join(value) if isinstance(value, list) else str(value)


def _tests(verdict: Verdict) -> Table:
    table = Table(title="Tests")
    for column in ("test", "asks", "bounds", "measured", "n", "interval", "answer"):
        table.add_column(column, no_wrap=column != "asks")
    for outcome in verdict.outcomes:
        test, estimate, ends = outcome.test, outcome.estimate, outcome.interval
        table.add_row(
            test.name,
            test.says + (" (beyond the paper's assumptions)" if test.weaker else ""),
            f"[{test.low:.7g}, {test.high:.7g}]",
            with_error(estimate),
            "exact" if estimate and not estimate.n else str(estimate.n) if estimate else "-",
            f"[{ends.low:.7g}, {ends.high:.7g}]" if ends else "-",
            outcome.answer,
        )
    return table
