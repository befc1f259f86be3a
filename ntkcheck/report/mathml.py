"""TeX formulas as MathML, in the part of it that browsers draw."""

import re
import unicodedata
from itertools import pairwise
from xml.etree import ElementTree

from latex2mathml.converter import convert

_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_ALPHABETS = {"bold": "BOLD", "script": "SCRIPT", "double-struck": "DOUBLE-STRUCK", "fraktur": "FRAKTUR"}
_BEFORE_SIGNS = {*"([{,;=<>/", *"≤≥≈→↦∝·\u223c"}
_OPERATORS = {"~": "\u223c"} | {sign: sign for sign in "±∓⌊⌋⌈⌉⟨⟩:;"}


def mathml(tex: str, display: bool = False) -> str:
    """A formula as a `math` element, with the TeX as its `alttext`.

    Args:
        tex: Without the dollar signs.
        display: Whether it stands in a line of its own.

    Raises:
        ValueError: If it is no formula that can be converted.
    """
    try:
        root = ElementTree.fromstring(convert(tex.strip(), display="block" if display else "inline"))
    except Exception as error:  # of many kinds, IndexError among them
        raise ValueError(
            f"`tex` must be a formula in TeX's mathematical mode, got {tex!r} ({type(error).__name__}: {error}); simplify it."
        ) from error
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_NAMESPACE}}}")
        _draw_alphabet(element)
        _correct_operator(element)
    for row in root.iter():
        _mark_signs(row)
    if display:
        root.set("tabindex", "0")  # it may be wider than the page, and is scrolled by keyboard then
    root.set("alttext", " ".join(tex.split()))
    return ElementTree.tostring(root, encoding="unicode")


def _draw_alphabet(element: ElementTree.Element) -> None:
    """Letters of Unicode's mathematical alphabets: browsers draw these, and ignore `mathvariant` but for "normal"."""
    variant = element.get("mathvariant", "")
    if variant in _ALPHABETS:
        element.attrib.pop("mathvariant")
        element.text = "".join(_letter(letter, _ALPHABETS[variant]) for letter in element.text or "")


def _correct_operator(element: ElementTree.Element) -> None:
    """Operators that come as identifiers become operators; a slash has no spaces around it, as in TeX."""
    if element.tag == "mi" and element.text in _OPERATORS:
        element.tag, element.text = "mo", _OPERATORS[element.text]
    elif element.tag == "mo" and element.text == "/":
        element.attrib |= {"lspace": "0", "rspace": "0"}


def _mark_signs(row: ElementTree.Element) -> None:
    """A minus after an opening bracket or a relation is a sign, which has no space after it."""
    for before, element in pairwise([None, *row]):
        after_operator = before is None or (before.tag == "mo" and before.text in _BEFORE_SIGNS)
        if element is not None and element.tag == "mo" and element.text == "\u2212" and after_operator:
            element.set("form", "prefix")


def _letter(letter: str, alphabet: str) -> str:
    name = re.sub("LATIN |GREEK |LETTER ", "", unicodedata.name(letter, ""))
    for prefix in ("MATHEMATICAL ", ""):  # a few, such as the script B, are older than the alphabets
        try:
            return unicodedata.lookup(f"{prefix}{alphabet} {name}")
        except KeyError:
            continue
    return letter
