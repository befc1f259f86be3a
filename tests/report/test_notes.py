"""Markdown and formulas as HTML, and the part of the notes that belongs to a claim."""

import re
from xml.etree import ElementTree

import pytest

from ntkcheck import claims
from ntkcheck.report import notes
from ntkcheck.report.markdown import headings, to_html
from ntkcheck.report.mathml import mathml
from ntkcheck.report.notes import Notes

NOTES = Notes(
    """# Notes
## 1. Symbols
See [below](#2-claim-by-claim-xx).
## 2. Claim by claim: $x<1$
### AB-1: first
As section 1 has it: $a < b$.
```python
### AB-1: not a heading
```
#### detail
more
### AB-2, AB-3: two together
By sections 1 and 2.
## 3. Others
### AB-1: again
last
"""
)


def elements(tex, **options):
    return [(e.tag, e.text) for e in ElementTree.fromstring(mathml(tex, **options)).iter() if e.text]


def test_a_formula_is_mathml_with_its_tex_as_alternative():
    root = ElementTree.fromstring(mathml(r"\frac{a}{b} <  1"))
    assert (root.tag, root.get("display"), root.get("alttext")) == ("math", "inline", r"\frac{a}{b} < 1")
    assert [e.text for e in root.find(".//mfrac").iter("mi")] == ["a", "b"]
    assert ElementTree.fromstring(mathml("x", display=True)).get("display") == "block"


@pytest.mark.parametrize(
    ("tex", "drawn"),
    [
        (r"\mathbf 1", ("mn", "\U0001d7cf")),
        (r"\mathcal N", ("mi", "\U0001d4a9")),
        (r"\mathcal B", ("mi", "\u212c")),
        (r"\mathbb R", ("mi", "\u211d")),
        (r"u \sim v", ("mo", "\u223c")),
        (r"a \pm b", ("mo", "±")),
    ],
)
def test_letters_and_operators_are_those_that_browsers_draw(tex, drawn):
    assert drawn in elements(tex)
    assert not re.search('mathvariant="(?!normal)', mathml(tex))


def test_a_sign_has_no_space_after_it_and_a_difference_has():
    signs = re.findall(r"<mo( form=\"prefix\")?>\u2212</mo>", mathml("[-1, -2] = a - b"))
    assert list(map(bool, signs)) == [True, True, False]


def test_what_is_no_formula_is_refused_and_shown_as_it_was_written():
    with pytest.raises(ValueError, match=r"`tex` must be a formula .*, got '.+left\(x' \(Extra"):
        mathml(r"\left(x")
    assert '<code class="tex">\\left(x &lt; y</code>' in to_html(r"so $\left(x < y$ holds")


def test_html_in_markdown_is_text():
    assert "&lt;script&gt;" in to_html("<script>alert(1)</script> and `<b>`")
    assert "<b>" not in to_html("a <b>bold</b> word, `<b>`")


def test_tables_have_scopes_and_headings_have_anchors():
    html = to_html("## A *b*: $c$\n\n| x | y |\n|---|---|\n| $|a|$ | 2 |", id_prefix="p-")
    assert html.count('<th scope="col">') == 2
    assert 'id="p-a-b-c"' in html


def test_headings_are_found_by_line_and_not_in_code():
    assert [words for _, _, words in headings(NOTES.text)] == [
        "Notes",
        "1. Symbols",
        "2. Claim by claim: $x<1$",
        "AB-1: first",
        "detail",
        "AB-2, AB-3: two together",
        "3. Others",
        "AB-1: again",
    ]
    assert [line for line, _, _ in headings(NOTES.text)][:3] == [0, 1, 3]


def test_the_part_of_a_claim_is_everything_under_its_headings():
    part = NOTES.part("AB-1")
    words = re.sub("<[^>]*>", "", part.html)
    assert all(text in words for text in ("AB-1: first", "detail", "more", "again", "last"))
    assert "two together" not in words
    assert part.anchor == "ab-1-first"
    assert [reference.title for reference in part.refers_to] == ["1. Symbols"]


def test_one_heading_may_serve_several_claims_and_most_have_none():
    assert NOTES.part("AB-3").html == NOTES.part("AB-2").html
    assert [reference.anchor for reference in NOTES.part("AB-2").refers_to] == ["1-symbols", "2-claim-by-claim-x1"]
    assert NOTES.part("AB-4") is None
    assert NOTES.part("AB") is None


def test_the_notes_of_the_checkout_are_found_and_all_their_formulas_drawn():
    found = notes.load()
    assert found.html.count("<math") > 500
    assert '<code class="tex">' not in found.html
    assert sum(found.part(id) is not None for id in claims.load()) >= 9


def test_notes_of_an_installed_package_are_found_and_absent_ones_are_none(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "ntkcheck"
    package.mkdir(parents=True)
    monkeypatch.setattr(notes, "PACKAGE", package)
    assert notes.load() is None
    (package / notes.FILE).write_text("# In the package")
    assert notes.load().text == "# In the package"
