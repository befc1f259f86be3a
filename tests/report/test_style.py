"""The style: contrast of text in light and dark, and what is printed."""

import re
from importlib import resources

import pytest

CSS = (resources.files("ntkcheck.report") / "templates" / "style.css").read_text()
LEAST = 4.5  # WCAG 2.2, level AA, for text of ordinary size
TEXTS = ("ink", "soft", "link", "supported", "qualified", "refuted", "inconclusive", "untested")


def colours(part):
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part))


def schemes():
    light, dark = re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)[:2]
    return {"light": colours(light), "dark": colours(dark)}


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return sum(weight * x for weight, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_measured_as_it_is_defined():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#999999", "#ffffff") < LEAST < contrast("#767676", "#ffffff")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_on_every_ground(scheme):
    found = schemes()[scheme]
    for text in TEXTS:
        for ground in ("paper", "shade"):
            assert contrast(found[text], found[ground]) >= LEAST, (text, ground)
    for text in ("ink", "warning-ink", "refuted", "inconclusive", "link", "soft"):  # of marked rows of the ledger
        assert contrast(found[text], found["warning"]) >= LEAST, text
    assert contrast(found["bound"], found["paper"]) >= 3  # graphical objects
    assert contrast(found["ink"], found["band"]) >= LEAST


def test_both_schemes_define_the_same_colours():
    assert schemes()["light"].keys() == schemes()["dark"].keys()


def test_what_is_of_no_use_on_paper_is_not_printed():
    printed = CSS[CSS.index("@media print") :]
    for part in ("#filters", "header.site", ".skip"):
        assert re.search(rf"{re.escape(part)}[^{{}}]*{{ display: none", printed)


def test_nothing_is_loaded_by_the_style():
    assert "url(" not in CSS
    assert "@import" not in CSS
