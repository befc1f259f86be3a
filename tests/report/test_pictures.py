"""The papers' figures in the report: on the pages of their claims, with captions and tables, and what is said of bad folders."""

import json

import pytest
from typer.testing import CliRunner

from ntkcheck import claims, report
from ntkcheck.report import pictures
from ntkcheck.report.__main__ import FIGURES, app
from ntkcheck.report.pages import claim_path
from ntkcheck.store import Store
from tests.report import ABOUT, OWN, SVG, make_figures, make_store, snd_record
from tests.report.test_pages import Page


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("pictures")
    make_store(made / "store.db")
    report.write(made / "store.db", made / "report", [OWN], make_figures(made / "figures"))
    return made / "report"


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "store.db") as opened:
        opened.add(snd_record(8))
    return tmp_path / "store.db"


def page_of(folder, id):
    return Page((folder / claim_path(id)).read_text(encoding="utf-8"))


def command(*arguments):
    found = CliRunner().invoke(app, [*map(str, arguments)])
    return found.exit_code, " ".join(found.output.split())


def test_a_figure_is_read_with_what_is_told_of_it(tmp_path):
    (picture,) = pictures.load(make_figures(tmp_path / "figures"))
    assert (picture.name, picture.title, picture.caption, picture.svg) == ("a_line", *list(ABOUT.values())[:2], SVG)
    assert picture.claims == tuple(ABOUT["claims"])
    assert picture.tables == {"made up.csv": "x,value\n1,2\n"}


def test_a_figure_is_on_the_pages_of_the_claims_that_it_names_and_on_no_other(folder):
    shown = {id for id in claims.load([OWN]) if page_of(folder, id).all("img")}
    assert shown == {"UP-1", "UP/6 <b>", "MN-3"}


def test_a_figure_has_its_caption_as_text_alternative_its_title_and_its_tables(folder):
    for page in (page_of(folder, "UP-1"), Page((folder / "figures.html").read_text(encoding="utf-8"))):
        (image,) = page.all("img")
        assert image["alt"] == ABOUT["caption"]
        assert ABOUT["title"] in page.words
        assert page.words.count(ABOUT["caption"]) == 1
        assert [link for link in page.all("a") if link["href"].endswith("figures/made%20up.csv")]
    assert (folder / "figures" / "a_line.svg").read_text() == SVG
    assert (folder / "figures" / "made up.csv").read_text() == "x,value\n1,2\n"


def test_the_page_of_figures_leads_to_the_claims_that_there_are(folder):
    page = Page((folder / "figures.html").read_text(encoding="utf-8"))
    claim_links = [link["href"] for link in page.all("a") if link["href"].startswith("claims/")]
    assert len(claim_links) == 3  # not to the one of nobody
    assert 'href="figures.html"' in (folder / "index.html").read_text()


def test_a_report_without_figures_has_no_page_of_them(store, tmp_path):
    report.write(store, tmp_path / "report")
    assert not (tmp_path / "report" / "figures.html").exists()
    assert "figures.html" not in (tmp_path / "report" / "index.html").read_text()


def test_figures_are_found_where_they_are_drawn_unless_another_folder_is_named(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no figures; `python -m figures` draws them" in command("--store", store, "--output", "a")[1]
    assert not list(tmp_path.glob("a/figures*"))
    make_figures(tmp_path / FIGURES)
    assert f"figures of {FIGURES}" in command("--store", store, "--output", "b")[1]
    assert (tmp_path / "b" / "figures" / "a_line.svg").is_file()
    make_figures(tmp_path / "other", title="Another")
    assert "figures of other" in command("--store", store, "--output", "c", "--figures", "other")[1]
    assert "Another" in (tmp_path / "c" / "figures.html").read_text()


def test_a_folder_that_is_none_or_empty_is_refused(store, tmp_path):
    for folder in (tmp_path / "none", tmp_path):
        code, said = command("--store", store, "--output", tmp_path / "a", "--figures", folder)
        assert code == 2
        assert "`figures` must be a folder" in said
        assert f"got {str(folder)!r}" in said
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"caption": None}, "no 'caption' of the right kind"),
        ({"claims": "UP-1"}, "no 'claims' of the right kind"),
        ({"claims": [1]}, "claims and tables that are no names"),
        ({"tables": ["gone.csv"]}, "No such file"),
    ],
)
def test_a_figure_that_lacks_something_is_refused_with_the_command_that_draws_it(tmp_path, changes, reason):
    folder = make_figures(tmp_path / "figures", **changes)
    with pytest.raises(ValueError, match=f"(?s)got a_line.json: .*{reason}.*`python -m figures a_line`"):
        pictures.load(folder)


@pytest.mark.parametrize("text", ["{", "[]", "\udcff"])
def test_what_is_no_description_is_refused(tmp_path, text):
    folder = make_figures(tmp_path / "figures")
    (folder / "a_line.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(
        ValueError, match=r"`figures` must hold the files that `python -m figures` writes, got a_line\.json"
    ):
        pictures.load(folder)


def test_a_table_is_read_from_the_folder_alone(tmp_path):
    (tmp_path / "outside.csv").write_text("secret")
    folder = make_figures(tmp_path / "figures", tables=["../outside.csv"])
    with pytest.raises(ValueError, match="No such file"):
        pictures.load(folder)


def test_the_made_up_figure_is_of_the_form_that_the_command_writes(tmp_path):
    about = json.loads((make_figures(tmp_path / "figures") / "a_line.json").read_text())
    assert about.keys() == {"name", *pictures.FIELDS}
