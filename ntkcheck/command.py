"""What commands that measure do alike: options, errors in one line, interruptions, verdicts, and what is shown at the end."""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.markup import escape

from ntkcheck import claims
from ntkcheck.output import claim_file, claim_folder, end_interrupted, results_console
from ntkcheck.records import failures
from ntkcheck.store import Record, Store, StoreError

CONSOLE = Console(stderr=True)  # progress and messages; standard output is for results

Json = Annotated[
    str | None,
    typer.Option(help="Also write the JSON to this file; - prints it to standard output in place of the tables."),
]
Workers = Annotated[int, typer.Option(help="Local processes to measure in; 0 measures in this one.")]
Scheduler = Annotated[str | None, typer.Option(help="Address of a Dask scheduler whose workers measure instead.")]


def words(given: Iterable[str] | None) -> tuple[str, ...]:
    """What an option was given, repeated or separated by commas; nothing where it was not given."""
    return tuple(word.strip() for item in given or () for word in item.split(","))


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End the command with exit code 2 where an option, a file or the store is not as it must be."""
    try:
        yield
    except (ValueError, FileNotFoundError, StoreError) as error:
        CONSOLE.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from None


def claim_results(output: Path, json: str | None) -> Path:
    """The folder for results; before anything is measured, it and the file for JSON, if any, are known to take them."""
    folder = claim_folder(output)
    if json not in (None, "-"):
        claim_file(Path(json))
    return folder


@contextmanager
def opened(path: Path, folder: Path, keep: Callable[[Store], tuple[int, int]]) -> Iterator[Store]:
    """The store, while something is measured; an interruption leaves what was measured in `folder`, says so and ends the process.

    Args:
        path: The store's file.
        folder: For results.
        keep: Writes there what the store has; returns how many cells that is, and of how many.
    """
    with Store(path) as store:
        try:
            yield store
        except KeyboardInterrupt:
            end_interrupted(CONSOLE, *keep(store), folder)


def verdicts(
    evidence: claims.Evidence, ids: Collection[str], checked: Collection[str] | None = None, threads: int = 1
) -> dict[str, claims.Verdict]:
    """Verdicts on claims, in the ledger's order.

    Args:
        evidence: What their checks may use.
        ids: The claims.
        checked: Those of them that are checked where the store has no answers; all unless given.
        threads: Checks at the same time; see `claims.check`.
    """
    ledger = {id: claim for id, claim in claims.load().items() if id in ids}
    asked = {id: claim for id, claim in ledger.items() if checked is None or id in checked}
    with CONSOLE.status("claims") as status:
        found = claims.check(
            asked, evidence, threads, on_done=lambda id, done: status.update(f"claims: {done} of {len(asked)}")
        )
    found = {id: found.get(id) or claims.known(claim, evidence) for id, claim in ledger.items()}
    return claims.verdicts(ledger, {id: each.answers for id, each in found.items()})


def show(
    paths: Sequence[Path], json: str | None, tables: Iterable[RenderableType], records: Mapping[str, Record]
) -> None:
    """Print tables, or the document as JSON; on standard error, what failed and which files there are.

    Args:
        paths: The files of the results, the document first.
        json: A file that the document is also written to, or - for standard output.
        tables: For standard output otherwise.
        records: By the names of their cells.
    """
    text = paths[0].read_text(encoding="utf-8")
    if json == "-":
        sys.stdout.write(text)
    else:
        results_console().print(*tables)
        if json is not None:
            Path(json).write_text(text, encoding="utf-8")
    for cell, reason in failures(records).items():
        CONSOLE.print(f"[red]failed[/red] {escape(cell)}: {escape(reason)}", soft_wrap=True)
    names = ", ".join(path.name for path in paths)
    CONSOLE.print(f"results in {escape(str(paths[0].parent))}: {names}", soft_wrap=True)
