"""The folder that the report is."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ntkcheck.report import notes, pictures
from ntkcheck.report.ledger import Ledger, collect
from ntkcheck.report.pages import pages
from ntkcheck.report.tables import tables
from ntkcheck.store import Store


def write(store: Path, output: Path, own: Sequence[Path] = (), figures: Path | None = None) -> Ledger:
    """Write the report, and give what it tells of.

    Args:
        store: The store's file.
        output: The folder; made where there is none. Other files in it stay.
        own: TOML files with claims of one's own.
        figures: A folder of `python -m figures`, whose figures are shown with the claims that they bear on; None for none.

    Raises:
        ValueError: If there is no such store, a file of claims is wrong, `figures` has none, or the folder cannot be written.
        FileNotFoundError: If one of `own` is no file.
        StoreError: If the store cannot be read.
    """
    drawn = pictures.load(figures) if figures else ()
    ledger = collect(store, own)
    with Store(store, read_only=True) as opened:
        found = tables(opened, {each.key for each in ledger.altered})
    _write(pages(ledger, found, notes.load(), drawn), output)
    return ledger


def _write(texts: Mapping[str, str], folder: Path) -> None:
    """Every file whole: a reader never meets half a page."""
    try:
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.part")
            part.write_text(text, encoding="utf-8", newline="\n")
            os.replace(part, path)
    except OSError as error:
        raise ValueError(
            f"`output` must be a folder that can be written to, got {str(folder)!r} ({error.strerror}); name another."
        ) from error
