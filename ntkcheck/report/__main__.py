"""The command `ntkcheck report` (`python -m ntkcheck.report`): arguments, 64-bit and output only."""

from pathlib import Path
from typing import Annotated

import jax
import typer
from rich.console import Console
from rich.markup import escape

from ntkcheck import report
from ntkcheck.store import StoreError
from ntkcheck.store.option import DEFAULT_STORE, StorePath

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
CONSOLE = Console(stderr=True)
FIGURES = Path("results/figures")  # where `python -m figures` writes


@app.command()
def main(
    store: StorePath = DEFAULT_STORE,
    own: Annotated[
        list[Path] | None,
        typer.Option("--own", help="A TOML file with claims of your own, beside the shipped ones; repeatable."),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            help="Folder of `python -m figures`, whose figures are shown with the claims that they bear on. "
            f"Default: {FIGURES}, if it has any.",
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the pages.")] = Path("results/report"),
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write the ledger as pages that open from disk: every claim with its tests, verdict, derivation and provenance."""
    jax.config.update("jax_enable_x64", True)
    try:
        drawn = figures or (FIGURES if any(FIGURES.glob("*.json")) else None)
        found = report.write(store, output, own or [], drawn)
    except (ValueError, FileNotFoundError, StoreError) as error:
        CONSOLE.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from None
    first = output / "index.html"
    CONSOLE.print(f"{len(found.entries)} claims in {escape(str(first))}", soft_wrap=True)
    shown = f"figures of {drawn}" if drawn else "no figures; `python -m figures` draws them, in a checkout"
    CONSOLE.print(escape(shown), soft_wrap=True)
    if found.problems:
        CONSOLE.print(
            f"[red]{len(found.problems)} problems[/red] with what the store holds; the pages say where, and so does "
            f"`ntkcheck store verify --store {escape(str(store))}`",
            soft_wrap=True,
        )
    if show:
        typer.launch(str(first.resolve()))


if __name__ == "__main__":
    app()
