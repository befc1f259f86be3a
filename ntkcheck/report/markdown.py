"""Markdown with formulas as HTML."""

import re
from html import escape
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin

from ntkcheck.report.mathml import mathml


def to_html(text: str, id_prefix: str = "") -> Markup:
    """Markdown as HTML: tables, formulas between dollar signs as MathML, headings with GitHub's anchors; HTML in it is text.

    Args:
        text: Markdown.
        id_prefix: Put before the anchor of every heading.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.use(dollarmath_plugin, renderer=_formula)
    tokens = parser.parse(text)
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", id_prefix + anchor(content.content))
        elif opening.type == "th_open":
            opening.attrSet("scope", "col")
    return Markup(_scrollable(parser.renderer.render(tokens, parser.options, {})))


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading: lower case, without punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def headings(text: str) -> list[tuple[int, int, str]]:
    """Every heading: line number, level, words."""
    tokens: list[Token] = MarkdownIt("commonmark").disable("inline").parse(text)
    pairs = pairwise(tokens)
    return [(t.map[0], int(t.tag[1:]), content.content) for t, content in pairs if t.type == "heading_open" and t.map]


def _formula(tex: str, options: dict) -> str:
    try:
        return mathml(tex, options["display_mode"])
    except ValueError:
        return f'<code class="tex">{escape(tex)}</code>'  # as it was written, where it cannot be drawn


def _scrollable(html: str) -> str:
    """Tables and code may be wider than a narrow screen, and are then scrolled by keyboard too."""
    box = '<div class="scroll" role="group" aria-label="Table" tabindex="0"><table>'
    return html.replace("<table>", box).replace("</table>", "</table></div>").replace("<pre>", '<pre tabindex="0">')
