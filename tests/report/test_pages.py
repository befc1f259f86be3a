"""The pages: every claim, links that lead somewhere, nothing from elsewhere, nothing unescaped, the same bytes again."""

import re
import shlex
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote

import pytest
import typer
from typer.testing import CliRunner

from ntkcheck import claims, report
from ntkcheck.__main__ import app
from ntkcheck.report import notes
from ntkcheck.report.ledger import command
from ntkcheck.report.pages import VERDICTS as MARKS
from ntkcheck.report.pages import claim_path
from ntkcheck.report.tables import tables
from ntkcheck.store import Store
from ntkcheck.store.verify import problems
from tests.report import OWN, VERDICTS, changed_by_hand, make_store

MAIN = 'cell = (SELECT id FROM cell WHERE parameters LIKE \'%"claim":"UP-2"%\')'
USED = "cell = (SELECT id FROM cell WHERE parameters LIKE '%\"batch_size\":8,%' AND function LIKE '%snd_record')"


class Page(HTMLParser):
    """Elements of a page with their attributes, its words, and what has no end."""

    VOID = frozenset(("meta", "link", "input", "br", "hr", "line", "rect", "circle", "img"))

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.open = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words += data

    def all(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "store.db"
    make_store(path)
    return path


NOTES = notes.load()


def texts(store, own=(OWN,), the_notes=NOTES):
    ledger = report.collect(store, own)
    with Store(store, read_only=True) as opened:
        found = tables(opened, {each.key for each in ledger.altered})
    return report.pages(ledger, found, the_notes)


@pytest.fixture(scope="module")
def written(store):
    return texts(store)


@pytest.fixture(scope="module")
def html(written):
    return {name: Page(text) for name, text in written.items() if name.endswith(".html")}


def page_of(pages, id):
    return pages[claim_path(id)]


def test_every_claim_has_a_page_with_its_verdict(html):
    everything = claims.load([OWN])
    assert {claim_path(id) for id in everything} == {name for name in html if name.startswith("claims/")}
    for id, claim in everything.items():
        words = page_of(html, id).words
        for text in (id, claim.statement, claim.source, claim.how, *(test.says for test in claim.tests)):
            assert text.replace("`", "") in words
        assert all(test.name in words for test in claim.tests)
    for id, verdict in VERDICTS.items():
        assert f"{MARKS[verdict]} {verdict}" in page_of(html, id).words


def test_the_ledger_lists_every_claim_in_order_with_its_verdict(html):
    rows = [attributes for attributes in html["index.html"].all("tr") if attributes.get("class") == "claim"]
    links = [a["href"] for a in html["index.html"].all("a") if a["href"].startswith("claims/")]
    everything = claims.load([OWN])
    assert [unquote(link) for link in links] == [claim_path(id) for id in everything]
    assert dict(zip(everything, (row["data-verdict"] for row in rows), strict=True)) == {
        id: VERDICTS.get(id, "untested") for id in everything
    }


def test_a_page_tells_bounds_measurement_interval_provenance_and_command(html):
    words = " ".join(page_of(html, "UP-1").words.split())
    for text in (
        "0.9 to 1.1",
        "1.0000(10)",
        "inside, decides",
        "10",
        "its checksum holds",
        "made_up.py:stated",
        "float64",
        f"uv run ntkcheck claims --own {OWN} check UP-1",
        "tests.report:snd_record",
        "2020-01-01 00:00:00 UTC",
        "The notes to the papers have no section on this claim",
    ):
        assert text in words, text
    assert "it is twice as large" in page_of(html, "UP-2").words
    assert "broke down" in page_of(html, "UP-5").words


def test_links_lead_somewhere(written, html):
    for name, page in html.items():
        for attributes in page.all("a", "link", "script"):
            target = attributes.get("href", attributes.get("src", ""))
            if not target or re.match("https://arxiv.org/abs/|data:", target):
                continue
            path, _, fragment = target.partition("#")
            found = normpath(join(dirname(name), unquote(path))) if path else name
            assert found in written, f"{name} -> {target}"
            if fragment:
                assert unquote(fragment) in {attributes.get("id") for _, attributes in html[found].elements}, target


def test_nothing_is_loaded_from_elsewhere(html):
    for page in html.values():
        loaded = [a.get("src", a.get("data", "")) for a in page.all("script", "img", "iframe", "object", "source")]
        loaded += [attributes["href"] for attributes in page.all("link")]
        assert not [address for address in loaded if re.match("[a-z]+:|//", address) and address != "data:,"]
        policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none';")


def test_letters_of_claims_are_escaped(written, html):
    assert "<script>alert" not in "".join(written.values())
    assert "<script>alert('1')</script>" in page_of(html, "UP-1").words
    assert 'By assertion, "quoted".' in page_of(html, "UP-1").words
    assert claim_path("UP/6 <b>") == "claims/UP%2F6%20%3Cb%3E.html"
    assert {a["href"] for a in page_of(html, "UP-1").all("a")} >= {"https://arxiv.org/abs/2020.12345"}


def test_pages_have_what_assistive_technology_needs(html):
    for name, page in html.items():
        (root,) = page.all("html")
        assert root["lang"] == "en"
        assert len(page.all("main")) == len(page.all("h1")) == 1, name
        assert page.all("a")[0] == {"class": "skip", "href": "#main"}
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids)), name
        assert all("scope" in attributes for attributes in page.all("th")), name
        labels = [attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes]
        assert set(labels) <= set(ids)


def test_every_figure_of_a_claim_has_a_text_alternative(written, html):
    for id, claim in claims.load([OWN]).items():
        figures = page_of(html, id).all("svg")
        assert len(figures) == len(claim.tests)
        assert all(attributes["role"] == "img" for attributes in figures)
        titles = re.findall(r"<title id=\"plot-\d+\">(.*?)</title>", page_of(written, id))
        assert [title.partition(":")[0] for title in titles] == [test.name for test in claim.tests]


def test_a_claim_shows_the_part_of_the_notes_that_it_rests_on(written, html):
    assert "MN-3: lemma 1" in page_of(html, "MN-3").words
    assert "<math" in page_of(written, "MN-3")
    assert 'href="../notes.html#mn-3-' in page_of(written, "MN-3")
    assert "Symbols" in html["notes.html"].words


def test_absent_notes_are_told_of(store):
    pages = texts(store, the_notes=None)
    assert "notes.html" not in pages
    assert "are not in this installation" in page_of(pages, "MN-3")
    assert 'href="../notes.html' not in page_of(pages, "MN-3")


def test_the_same_store_gives_the_same_bytes(store, written):
    assert texts(store) == written


def test_a_store_as_it_was_written_has_no_warning(written):
    assert not [name for name, text in written.items() if "changed record" in text and name.endswith(".html")]


@pytest.mark.parametrize("statement", ["value = 1.0", "sem = 5.0", "n = 7", "value = 'words'"])
def test_a_measurement_that_was_changed_by_hand_is_told_on_its_page_and_on_the_index(store, tmp_path, statement):
    changed = changed_by_hand(store, tmp_path / "changed.db", f"UPDATE measurement SET {statement} WHERE {MAIN}")
    (problem,) = problems(changed)
    pages = texts(changed)
    marked = [id for id in claims.load([OWN]) if "this verdict does not count" in page_of(pages, id)]
    assert marked == ["UP-2"]
    assert problem in Page(pages["index.html"]).words
    rows = [attributes for attributes in Page(pages["index.html"]).all("tr") if "data-marks" in attributes]
    assert sum("changed" in attributes["data-marks"] for attributes in rows) == 1


def test_a_measurement_that_claims_rest_on_and_that_was_changed_is_told_on_their_pages(store, tmp_path):
    changed = changed_by_hand(store, tmp_path / "changed.db", f"UPDATE measurement SET n = 4 WHERE {USED}")
    pages = texts(changed)
    marked = [id for id in claims.load([OWN]) if "this verdict does not count" in page_of(pages, id)]
    assert marked == ["UP-1", "UP-2", "UP-4"]
    assert "1 records that are not as they were written" in pages["explore.html"]


def test_a_record_that_was_taken_away_is_told_on_the_index(store, tmp_path):
    taken = ("DELETE FROM measurement WHERE cell = 2", "DELETE FROM cell WHERE id = 2")
    pages = texts(changed_by_hand(store, tmp_path / "changed.db", *taken))
    assert "records before number 3 are gone" in pages["index.html"]


def test_a_stale_verdict_is_told_of(store, tmp_path):
    statement = 'UPDATE provenance SET content = replace(content, \'"code": "\', \'"code": "0\')'
    pages = texts(changed_by_hand(store, tmp_path / "changed.db", statement))
    assert "rests on older code" in page_of(pages, "UP-1")


def test_explorable_measurements_are_drawn_with_a_text_alternative_and_their_numbers(written, html):
    page = html["explore.html"]
    charts = [attributes["id"] for attributes in page.all("div") if attributes.get("class") == "chart"]
    assert charts == ["regime", "depth", "snd", "full-size"]
    assert {f"data/{id}.csv" for id in charts} <= written.keys()
    assert (
        written["data/snd.csv"].splitlines()[0]
        == "normalizer,population,batch_size,features,snd,low,high,samples,law,record"
    )
    assert len(page.all("figcaption")) == len(charts)
    assert len(written["explore.html"]) < 5e6


def test_a_store_without_measurements_says_how_to_make_some(tmp_path, monkeypatch):
    Store(tmp_path / "empty.db").close()
    shipped = texts(tmp_path / "empty.db", own=())["explore.html"]
    assert "uv run ntkcheck regime" in shipped
    assert 'id="full-size"' in shipped
    monkeypatch.setattr("ntkcheck.published.records", dict)
    pages = texts(tmp_path / "empty.db", own=())
    assert "uv run ntkcheck regime" in pages["explore.html"]
    assert len(pages["explore.html"]) < 1e5
    assert Page(pages["index.html"]).words.count("untested") > len(claims.load())


def test_every_command_is_one_that_the_program_understands():
    for claim in claims.load([OWN]).values():
        words = command(claim, [OWN]).split()
        assert bool(words) == bool(claim.check)
        if words and "PATH" not in words and "<b>" not in claim.id:
            assert words[:3] == ["uv", "run", "ntkcheck"]
            assert parsed(words[3:]) == {"claims": "check", "ids": [claim.id]}


@pytest.mark.parametrize("id", ["UP-1", "UP/6 <b>"])
def test_a_command_copied_from_a_page_runs(written, store, tmp_path, id):
    (copied,) = re.findall('<pre class="command"[^>]*><code>(.*?)</code>', page_of(written, id))
    words = shlex.split(unescape(copied))
    assert words[:3] == ["uv", "run", "ntkcheck"]
    found = CliRunner().invoke(app, words[3:], env={"NTKCHECK_STORE": str(tmp_path / "new.db")})
    assert found.exit_code == 0, found.output
    assert "supported" in found.output


def parsed(words):
    """What `ntkcheck` understands, without doing it."""
    group = typer.main.get_command(app)
    with group.make_context("ntkcheck", words) as context:
        name, ledger, rest = group.resolve_command(context, context._protected_args + context.args)
        with ledger.make_context(name, rest, parent=context) as inner:
            leaf_name, leaf, rest = ledger.resolve_command(inner, inner._protected_args + inner.args)
            with leaf.make_context(leaf_name, rest, parent=inner) as last:
                return {name: leaf_name, "ids": list(last.params["ids"])}


def test_a_wrong_command_is_not_understood():
    with pytest.raises(Exception, match="No such option"):
        parsed(["claims", "check", "MN-3", "--nonsense"])


def test_the_templates_and_scripts_are_in_the_package():
    folder = Path(report.__file__).parent / "templates"
    assert {path.suffix for path in folder.iterdir()} == {".html", ".css", ".js"}
