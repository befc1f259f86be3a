"""Verdicts as a table for a terminal."""

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from ntkcheck.claims.judge import Verdict
from ntkcheck.measurement import with_error

STYLES = {"supported": "green", "qualified": "cyan", "refuted": "red", "inconclusive": "yellow", "untested": "dim"}


def render(verdicts: Mapping[str, Verdict]) -> Table:
    """One row a claim: verdict, the measurement that decided it with interval and bounds, the reason.

    Args:
        verdicts: By the claim's identifier.
    """
    table = _table("reason")
    for verdict in verdicts.values():
        table.add_row(*_numbers(verdict), Text(verdict.reason))
    return table


def render_ledger(verdicts: Mapping[str, Verdict], stale: Mapping[str, str]) -> Table:
    """The same with each claim's statement and source above the reason.

    Args:
        verdicts: By the claim's identifier.
        stale: Why a verdict is out of date, by the identifier of those that are.
    """
    table = _table("statement, source and reason")
    for id, verdict in verdicts.items():
        text = Text.assemble((verdict.claim.statement, "italic"), f" ({verdict.claim.source})\n", verdict.reason)
        if id in stale:
            text.append(f"\nSTALE: {stale[id]}", style="yellow")
        table.add_row(*_numbers(verdict), text)
        table.add_section()
    return table


def _table(last: str) -> Table:
    table = Table(title="Claims")
    for column in ("claim", "verdict", "measured", "interval", "bounds"):
        table.add_column(column, no_wrap=True)
    table.add_column(last)
    return table


def _numbers(verdict: Verdict) -> tuple[str | Text, ...]:
    decisive = verdict.decisive
    return (
        verdict.claim.id,
        Text(verdict.verdict, style=STYLES[verdict.verdict]),
        with_error(decisive.estimate),
        f"[{decisive.interval.low:.7g}, {decisive.interval.high:.7g}]" if decisive.interval else "-",
        f"[{decisive.test.low:.7g}, {decisive.test.high:.7g}]",
    )
