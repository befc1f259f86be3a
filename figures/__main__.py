"""The command `python -m figures`: arguments, 64-bit and output only."""

from pathlib import Path
from typing import Annotated

import jax
import typer
from rich.console import Console
from rich.markup import escape

import analyses
import figures
from figures import _published
from ntkcheck.output import claim_folder, replace_file
from ntkcheck.store import StoreError
from ntkcheck.store.option import DEFAULT_STORE, StorePath

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
CONSOLE = Console(stderr=True)


@app.command()
def main(
    name: Annotated[list[str] | None, typer.Argument(help="Figures to draw; all unless named.")] = None,
    no_measure: Annotated[
        bool, typer.Option("--no-measure", help="Refuse where a table is missing, instead of measuring it.")
    ] = False,
    published: Annotated[
        bool, typer.Option("--published", help="Write the tables of the records that are shipped, then draw.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again also what is committed.")] = False,
    output: Annotated[Path, typer.Option(help="Folder of the pictures, captions and tables.")] = Path(
        "results/figures"
    ),
    store: StorePath = DEFAULT_STORE,
    workers: Annotated[int, typer.Option(help="Local processes to measure in; 0 measures in this one.")] = 0,
) -> None:
    """Draw the papers' figures from committed tables and stored measurements; what is missing is measured."""
    jax.config.update("jax_enable_x64", True)
    try:
        if no_measure and fresh:
            raise ValueError("`--fresh` must come without `--no-measure`, got both; leave out one of them.")
        wanted = [figures.load(each) for each in name or figures.names()]
        folder = claim_folder(output)
        if published:
            _write_published()
        texts = _tables(wanted, no_measure, fresh, store, workers)
    except (ValueError, StoreError) as error:
        CONSOLE.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from None
    drawable = [figure for figure in wanted if texts.keys() >= set(figure.tables)]
    for figure in drawable:
        needed = (*figure.tables, *(each for each in figure.optional if each in texts))
        figures.write(figure, {each: texts[each] for each in needed}, folder)
        CONSOLE.print(f"{figure.name}: {escape(figure.title)}", soft_wrap=True)
    CONSOLE.print(f"{len(drawable)} of {len(wanted)} figures in {escape(str(folder))}", soft_wrap=True)
    raise typer.Exit(0 if len(drawable) == len(wanted) else 1)


def _tables(
    wanted: list[figures.PaperFigure], no_measure: bool, fresh: bool, store: Path, workers: int
) -> dict[str, str]:
    """The texts of all tables that there are or that can be measured; says what is missing."""
    texts: dict[str, str] = {}
    required = dict.fromkeys(table for figure in wanted for table in figure.tables)
    for table in dict.fromkeys([*required, *(table for figure in wanted for table in figure.optional)]):
        can_measure = table in required and table in analyses.names() and not no_measure
        text = None if fresh and can_measure else figures.committed(table)
        if text is None and can_measure:
            text = _measured(table, fresh, store, workers)
        if text is not None:
            texts[table] = text
        elif table in required:
            CONSOLE.print(
                f"[red]missing[/red] figures/data/{table}.csv; {escape(figures.command(table))} makes it",
                soft_wrap=True,
            )
    return texts


def _write_published() -> None:
    """The tables of the shipped records, with the committed ones."""
    folder = claim_folder(analyses.DATA)
    for table, text in _published.tables().items():
        replace_file(folder / f"{table}.csv", text)


def _measured(table: str, fresh: bool, store: Path, workers: int) -> str | None:
    """The table of a study, measured where the store lacks it, and kept with the committed ones; None where a cell failed."""
    text, records = analyses.measured(analyses.load(table), store, workers=workers, fresh=fresh)
    if analyses.report_failures(records):
        return None
    replace_file(claim_folder(analyses.DATA) / f"{table}.csv", text)
    return text


if __name__ == "__main__":
    app()
