"""Where and how commands leave results: folders, whole files, wide tables, one look of figures, and what an interruption says."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import matplotlib as mpl
from matplotlib.figure import Figure
from rich.console import Console
from rich.markup import escape

LEAST_COLUMNS = 160  # of tables where the output is not a terminal

# Okabe & Ito's colours: told apart with every common colour vision, and in grey.
COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "ntkcheck",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
WITHOUT_DATE: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "png": {}, "pdf": {"CreationDate": None}}


def claim_folder(path: Path) -> Path:
    """Make the folder before anything is measured.

    Raises:
        ValueError: If it cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"`output` must be a folder that can be written to, got {str(path)!r}: {error.strerror}."
        ) from error
    return path


def claim_file(path: Path) -> Path:
    """Make sure, before anything is measured, that a file can be written; one that exists keeps its content until then.

    Raises:
        ValueError: If it cannot be written.
    """
    existed = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
        if not existed:
            path.unlink()
    except OSError as error:
        raise ValueError(f"`json` must be a file that can be written, got {str(path)!r}: {error.strerror}.") from error
    return path


def replace_file(path: Path, text: str) -> Path:
    """Write a file whole; a reader never meets half of it."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return path


def save_figure(figure: Figure, stem: Path, kinds: Sequence[str] = ("svg", "png")) -> list[Path]:
    """Write a figure without dates, so that the same result gives the same bytes; of "svg", "png" and "pdf", the kinds named."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in kinds]
    with mpl.rc_context(STYLE):
        for path, kind in zip(paths, kinds, strict=True):
            figure.savefig(path, dpi=160, metadata=WITHOUT_DATE[kind])
    return paths


def results_console() -> Console:
    """Standard output for tables: as wide as the terminal, and where there is none, wide enough that nothing is cut."""
    out = Console()
    return Console(width=max(out.width, LEAST_COLUMNS) if not out.is_terminal else None)


def end_interrupted(console: Console, measured: int, total: int, folder: Path) -> NoReturn:
    """Say what an interruption leaves, and end the process: an ordinary exit would wait for the cells that are still computing."""
    console.print(
        f"[yellow]interrupted[/yellow] with {measured} of {total} measured; they are in the store, and in "
        f"{escape(str(folder))}; the same command goes on from there",
        soft_wrap=True,
    )
    os._exit(130)
