"""Every file of the report as text, by its path in the folder."""

import functools
import re
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ntkcheck.claims.judge import INCONCLUSIVE, QUALIFIED, REFUTED, SUPPORTED, UNTESTED
from ntkcheck.report import interval_plot
from ntkcheck.report.charts import Chart, charts
from ntkcheck.report.ledger import Entry, Ledger
from ntkcheck.report.notes import Notes
from ntkcheck.report.pictures import Picture
from ntkcheck.report.tables import Row, Tables
from ntkcheck.store.origin import PACKAGES
from ntkcheck.table import csv_text

VERDICTS = {  # with a mark, so that no verdict is told by its colour alone
    SUPPORTED: "✓",
    QUALIFIED: "◐",
    REFUTED: "✗",
    INCONCLUSIVE: "≈",
    UNTESTED: "\u2013",
}
MEANINGS = {
    SUPPORTED: "every stated interval lies inside its bounds",
    QUALIFIED: "holds as stated, and fails under a weaker assumption",
    REFUTED: "a stated interval lies outside its bounds",
    INCONCLUSIVE: "an interval straddles a bound",
    UNTESTED: "nothing was measured for a stated test",
}
ASSETS = ("style.css", "ledger.js", "explore.js")
_CODE = re.compile(r"`([^`]+)`")
_ARXIV = re.compile(r"arXiv (\d{4}\.\d{4,5})")


def pages(ledger: Ledger, tables: Tables, notes: Notes | None, pictures: Sequence[Picture] = ()) -> dict[str, str]:
    """The report: `index.html`, a page a claim, figures, notes, what can be explored with its tables, style and scripts.

    The same arguments give the same text.

    Args:
        ledger: From `collect`.
        tables: What can be explored.
        notes: The notes to the papers, if they are there.
        pictures: The papers' figures; each is also on the pages of the claims that it bears on.
    """
    drawn = charts(tables)
    site = {"ledger": ledger, "has_notes": notes is not None, "has_figures": bool(pictures)}
    render = functools.partial(_render, site)
    templates = resources.files("ntkcheck.report") / "templates"
    return {
        "index.html": render("index.html", counts=_counts(ledger), papers=_papers(ledger), marks_found=_marks(ledger)),
        **{
            claim_path(entry.claim.id): render("claim.html", root="../", **_claim(ledger.entries, i, notes, pictures))
            for i, entry in enumerate(ledger.entries)
        },
        **({"notes.html": render("notes.html", notes=notes.html)} if notes else {}),
        **({"figures.html": render("figures.html", pictures=pictures, known=_ids(ledger))} if pictures else {}),
        **{name: text for picture in pictures for name, text in _files(picture).items()},
        "explore.html": render("explore.html", charts=drawn, left_out=tables.left_out, bundle=_bundle(drawn)),
        **{f"data/{chart.id}.csv": _csv(chart.rows) for chart in drawn},
        **{f"assets/{name}": (templates / name).read_text(encoding="utf-8") for name in ASSETS},
    }


def claim_path(id: str) -> str:
    """Path of a claim's page in the folder; an identifier may hold any letters, a file's name may not."""
    return f"claims/{quote(id, safe='')}.html"


def link(path: str) -> str:
    """A path in the folder as the address of a link."""
    return quote(path)


def with_arxiv_links(text: str) -> Markup:
    """A source with its arXiv identifiers as links."""
    return Markup(_ARXIV.sub(r'<a href="https://arxiv.org/abs/\1">arXiv \1</a>', str(escape(text))))


def with_code(text: str) -> Markup:
    """A sentence of the ledger with what stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def _render(site: dict[str, Any], template: str, root: str = "", **values: Any) -> str:
    """A page; `root` leads from its folder to that of `index.html`."""
    return _environment().get_template(template).render(site | {"page": template, "root": root} | values)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ntkcheck.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        arxiv=with_arxiv_links,
        coded=with_code,
        link=link,
        claim_path=claim_path,
        figures=interval_plot.figures,
        moment=_moment,
        words=_words,
    )
    environment.globals.update(
        versions=("python", *PACKAGES),
        marks=VERDICTS,
        meanings=MEANINGS,
        measured=interval_plot.measured,
        bounds=interval_plot.bounds,
        percent=interval_plot.percent,
        WIDTH=interval_plot.WIDTH,
        HEIGHT=interval_plot.HEIGHT,
    )
    return environment


def _counts(ledger: Ledger) -> dict[str, int]:
    """Number of claims by verdict, in the order of `VERDICTS`."""
    counted = Counter(entry.verdict.verdict for entry in ledger.entries)
    return {verdict: counted[verdict] for verdict in VERDICTS}


def _marks(ledger: Ledger) -> dict[str, str]:
    """What marks there are, in words with the number of claims."""
    marked = {
        "changed": ("changed record", sum(bool(entry.altered) for entry in ledger.entries)),
        "stale": ("stale", sum(bool(entry.stale) for entry in ledger.entries)),
    }
    return {mark: f"{words} {count}" for mark, (words, count) in marked.items() if count}


def _papers(ledger: Ledger) -> dict[str, list[Entry]]:
    """Claims by the title of the paper."""
    found: dict[str, list[Entry]] = {}
    for entry in ledger.entries:
        found.setdefault(entry.paper, []).append(entry)
    return found


def _ids(ledger: Ledger) -> set[str]:
    return {entry.claim.id for entry in ledger.entries}


def _files(picture: Picture) -> dict[str, str]:
    """A figure and the tables behind it, by their paths in the folder."""
    return {picture.path: picture.svg, **{f"figures/{name}": text for name, text in picture.tables.items()}}


def _claim(entries: Sequence[Entry], i: int, notes: Notes | None, pictures: Sequence[Picture]) -> dict[str, Any]:
    entry = entries[i]
    level = entry.verdict.level
    return {
        "entry": entry,
        "before": entries[i - 1].claim.id if i else None,
        "after": entries[i + 1].claim.id if i + 1 < len(entries) else None,
        "plots": [(outcome, interval_plot.plot(outcome, level)) for outcome in entry.verdict.outcomes],
        "part": notes.part(entry.claim.id) if notes else None,
        "pictures": [picture for picture in pictures if entry.claim.id in picture.claims],
    }


def _moment(started: str) -> str:
    """When something was started, to the second."""
    return f"{started[:19].replace('T', ' ')} UTC"


def _words(value: Any) -> str:
    """A value of a record's parameters in words."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(item)}" for name, item in value.items())
    return "none" if value is None else str(value)


def _bundle(drawn: list[Chart]) -> Markup:
    """Vega, Vega-Lite and Vega-Embed, as text to stand in the page; nothing where there is nothing to draw."""
    if not drawn:
        return Markup("")
    import vl_convert  # here alone: it starts a JavaScript engine

    script: str = vl_convert.javascript_bundle()  # pyright: ignore[reportCallIssue]  (its stub lacks the default)
    return Markup(script.replace("</script", "<\\/script"))


def _csv(rows: list[Row]) -> str:
    return csv_text(rows, columns=dict.fromkeys(name for row in rows for name in row))
