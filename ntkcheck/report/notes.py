"""The notes to the papers, and the part of them that a claim rests on."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from ntkcheck.report.markdown import anchor, headings, to_html

FILE = "paper_notes.md"
PACKAGE = Path(__file__).parents[1]


class Reference(NamedTuple):
    """A section of the notes that another one refers to: its heading, and its anchor in the whole."""

    title: str
    anchor: str


class Part(NamedTuple):
    """What the notes say of one claim: as HTML, its anchor in the whole, and the sections that it refers to."""

    html: Markup
    anchor: str
    refers_to: tuple[Reference, ...]


@dataclass(frozen=True)
class Notes:
    """The notes, as Markdown."""

    text: str

    @cached_property
    def html(self) -> Markup:
        """All of it."""
        return to_html(self.text)

    @cached_property
    def headings(self) -> list[tuple[int, int, str]]:
        """Line number, level and words of every heading."""
        return headings(self.text)

    def part(self, id: str) -> Part | None:
        """The sections under headings that begin with the claim's identifier, or None where there is none."""
        lines, found = self.text.splitlines(), self.headings
        chosen = [i for i, (_, _, words) in enumerate(found) if id in _subjects(words)]
        if not chosen:
            return None
        text = "\n\n".join("\n".join(lines[found[i][0] : _end(found, i, len(lines))]) for i in chosen)
        return Part(to_html(text, id_prefix="notes-"), anchor(found[chosen[0]][2]), self._references(text))

    def _references(self, text: str) -> tuple[Reference, ...]:
        numbered = {
            match[1]: Reference(words, anchor(words))
            for _, _, words in self.headings
            if (match := re.match(r"(\d+)\. ", words))
        }
        mentioned = re.findall(r"\bsections? (\d+)(?:(?:, | and | to )(\d+))*", text)
        numbers = sorted({int(number) for group in mentioned for number in group if number})
        return tuple(numbered[str(number)] for number in numbers if str(number) in numbered)


def load() -> Notes | None:
    """The notes that came with this version: in the installed package, or beside it in a checkout; None where they are absent."""
    path = next((path for path in (PACKAGE.parent / FILE, PACKAGE / FILE) if path.is_file()), None)
    return Notes(path.read_text(encoding="utf-8")) if path else None


def _subjects(heading: str) -> list[str]:
    """The identifiers that stand before the colon: "IN-3, IN-4: slopes"."""
    before, colon, _ = heading.partition(":")
    return re.split(r",? and |, | to ", before.strip()) if colon else []


def _end(found: list[tuple[int, int, str]], i: int, last: int) -> int:
    """Line at which the next section of the same level, or of a higher one, begins."""
    return next((line for line, level, _ in found[i + 1 :] if level <= found[i][1]), last)
