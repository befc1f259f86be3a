"""One file per figure: from tables to a picture. `python -m figures` draws them all.

A figure is a module with
- a docstring whose first line is the figure's title;
- `TABLES`, the names of the tables that it reads: studies of analyses/, or tables of other commands (`COMMANDS`);
- where it has them, `OPTIONAL`, tables that it reads if they are there, and `CLAIMS`, the claims that it bears on;
- `caption(tables) -> str`: what is shown, with sample counts and what error bars are, its numbers out of the tables;
- `draw(tables) -> Figure`, which draws and does nothing else.

`tables` maps names to data frames in the long form of `ntkcheck.table`.
"""

import importlib
import io
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, cast

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import analyses
from ntkcheck.errors import unknown_name
from ntkcheck.json_text import json_text
from ntkcheck.output import STYLE, replace_file, save_figure
from ntkcheck.store import reference
from ntkcheck.table import holds_grid, uncommented

Tables = Mapping[str, pd.DataFrame]
KINDS = ("svg", "pdf", "png")
SHIPPED = "python -m figures --published"  # writes the tables of the records that are shipped
COMMANDS = {  # of committed tables that no study measures
    "reference": SHIPPED,
    "reference_activations": SHIPPED,
    "reference_curves": SHIPPED,
    "training_mn9": SHIPPED,
    "training_paired": SHIPPED,
    "saved_residuals": "python -m ntkcheck.reference --all --what memory --normalizer batch_norm,mimic_norm",
}


class PaperFigure(NamedTuple):
    """A figure, as its module describes it.

    Attributes:
        name: Of its module.
        title: First line of its docstring, without the full stop.
        tables: Names of the tables without which it cannot be drawn.
        optional: Names of those that it reads where they exist.
        claims: Identifiers of the claims that it bears on.
        caption: From tables to text.
        draw: From tables to a picture.
    """

    name: str
    title: str
    tables: tuple[str, ...]
    optional: tuple[str, ...]
    claims: tuple[str, ...]
    caption: Callable[[Tables], str]
    draw: Callable[[Tables], Figure]

    def picture(self, tables: Tables) -> Figure:
        """The figure in the one look of all."""
        with mpl.rc_context(STYLE):
            return self.draw(tables)


def names() -> list[str]:
    """Of all figures."""
    return sorted(
        module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if not module.name.startswith("_")
    )


def load(name: str) -> PaperFigure:
    """The figure of that name.

    Raises:
        ValueError: Where there is none, with the nearest that there is.
    """
    if name not in names():
        raise unknown_name("name", name, names())
    module = importlib.import_module(f"{__name__}.{name}")
    title = (module.__doc__ or "").partition("\n")[0].rstrip(".")
    optional, claims = getattr(module, "OPTIONAL", ()), getattr(module, "CLAIMS", ())
    return PaperFigure(name, title, module.TABLES, optional, claims, module.caption, module.draw)


def committed(table: str) -> str | None:
    """The text of a committed table; None where there is none, or where it holds another grid than its study's."""
    path = analyses.DATA / f"{table}.csv"
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    if table not in analyses.names():
        return text
    study = analyses.load(table)
    return text if holds_grid(text, reference(study.measure), study.grid) else None


def command(table: str) -> str:
    """What makes a table."""
    return f"python -m analyses.{table}" if table in analyses.names() else COMMANDS[table]


def frame(text: str) -> pd.DataFrame:
    """A table as a data frame."""
    return pd.read_csv(io.StringIO("".join(uncommented(text))))


def write(figure: PaperFigure, texts: Mapping[str, str], folder: Path) -> list[Path]:
    """Write a figure as SVG, PDF and PNG, its caption (.txt, and .json for programs), and the tables behind it.

    Args:
        figure: The figure.
        texts: Of its tables, by name.
        folder: Where to; it exists.
    """
    tables = {name: frame(text) for name, text in texts.items()}
    caption = figure.caption(tables)
    about = {
        "name": figure.name,
        "title": figure.title,
        "caption": caption,
        "claims": list(figure.claims),
        "tables": [f"{name}.csv" for name in texts],
        "command": f"python -m figures {figure.name}",
    }
    return [
        *save_figure(figure.picture(tables), folder / figure.name, KINDS),
        replace_file(folder / f"{figure.name}.txt", f"{figure.title}. {caption}\n"),
        replace_file(folder / f"{figure.name}.json", json_text(about)),
        *(replace_file(folder / f"{name}.csv", text) for name, text in texts.items()),
    ]


def rows(table: pd.DataFrame, **columns: object) -> pd.DataFrame:
    """The rows of a table in which columns have these values; there may be none."""
    wanted = [np.asarray(table[name] == value) for name, value in columns.items()]
    return cast(pd.DataFrame, table.loc[np.logical_and.reduce(wanted)])


def column(table: pd.DataFrame, name: str) -> np.ndarray:
    """A column as an array."""
    return np.asarray(table[name])


def pick(table: pd.DataFrame, **columns: object) -> pd.DataFrame:
    """The rows of a table in which columns have these values.

    Raises:
        ValueError: Where there is none: a figure does not draw what was not measured.
    """
    found = rows(table, **columns)
    if found.empty:
        raise ValueError(f"`columns` must pick at least one row, got none with {columns}; measure the table again.")
    return found
