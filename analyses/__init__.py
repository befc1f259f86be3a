"""One file per study: the grid that it measures, nothing else. `python -m analyses.NAME` measures what the store lacks of it.

A study is a module with
- a docstring that says what is studied;
- `Grid`, a frozen dataclass whose tuples are axes (`ntkcheck.sweep`), its defaults the study unless there is a
- `GRID`, the cells of several Grids;
- `MEASURE`, a function of ntkcheck, `measure(key, **parameters) -> list[Measurement]`;
- `TOY`, a Grid that takes seconds, for tests;
- and, last, `if __name__ == "__main__": command(__file__)`.
"""

import importlib
import pkgutil
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import typer
from rich.console import Console
from rich.markup import escape

from ntkcheck.errors import unknown_name
from ntkcheck.output import claim_folder, replace_file
from ntkcheck.store import Record, Store, StoreError
from ntkcheck.store.option import DEFAULT_STORE, StorePath
from ntkcheck.sweep import Measure, progress_bar, run
from ntkcheck.table import study_table

DATA = Path(__file__).parents[1] / "figures" / "data"  # tables that are committed, from which figures are drawn
CONSOLE = Console(stderr=True)


class Study(NamedTuple):
    """A study.

    Attributes:
        name: Of its module.
        measure: The measure function.
        grid: All of it, as `ntkcheck.sweep.cells` takes it.
        toy: A little of it.
    """

    name: str
    measure: Measure
    grid: object
    toy: object

    @property
    def command(self) -> str:
        """What measures it."""
        return f"python -m analyses.{self.name}"


def names() -> list[str]:
    """Of all studies."""
    return sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))


def load(name: str) -> Study:
    """The study of that name.

    Raises:
        ValueError: Where there is none, with the nearest that there is.
    """
    if name not in names():
        raise unknown_name("study", name, names())
    module = importlib.import_module(f"{__name__}.{name}")
    grid = module.GRID if hasattr(module, "GRID") else module.Grid()
    return Study(name, module.MEASURE, grid, module.TOY)


def measured(
    study: Study, store: Path, *, toy: bool = False, workers: int = 0, fresh: bool = False
) -> tuple[str, list[Record]]:
    """The study's table and its records; what the store lacks is measured, with a bar in the terminal.

    Raises:
        StoreError: Where the store cannot be written.
    """
    with Store(store) as opened, progress_bar(CONSOLE) as on_progress:
        records = run(
            study.toy if toy else study.grid,
            study.measure,
            opened,
            workers=workers,
            retry_failed=True,
            fresh=fresh,
            on_progress=on_progress,
        )
    return study_table(records, f"{study.command} --toy" if toy else study.command), records


def command(file: str) -> None:
    """The command of a study, called at the end of its file."""
    study = load(Path(file).stem)

    def main(
        toy: Annotated[bool, typer.Option("--toy", help="Measure a small configuration, in seconds.")] = False,
        store: StorePath = DEFAULT_STORE,
        workers: Annotated[int, typer.Option(help="Local processes to measure in; 0 measures in this one.")] = 0,
        fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what the store has.")] = False,
        output: Annotated[
            Path | None,
            typer.Option(help="Folder of the table. Default: figures/data, and results/analyses for a toy."),
        ] = None,
    ) -> None:
        jax.config.update("jax_enable_x64", True)
        try:
            folder = claim_folder(output or (Path("results/analyses") if toy else DATA))
            text, records = measured(study, store, toy=toy, workers=workers, fresh=fresh)
        except (ValueError, StoreError) as error:
            CONSOLE.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
            raise typer.Exit(2) from None
        if report_failures(records):
            raise typer.Exit(1)
        path = replace_file(folder / f"{study.name}.csv", text)
        CONSOLE.print(f"{len(records)} cells in {escape(str(path))}", soft_wrap=True)

    main.__doc__ = importlib.import_module(f"{__name__}.{study.name}").__doc__
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()


def report_failures(records: list[Record]) -> bool:
    """Say which cells failed, and why, and whether any did: a table is written only of what is complete."""
    failed = [record for record in records if record.failure]
    for record in failed:
        CONSOLE.print(f"[red]failed[/red] {escape(f'{record.parameters}: {record.failure}')}", soft_wrap=True)
    return bool(failed)
