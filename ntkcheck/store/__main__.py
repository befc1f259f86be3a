"""The command `python -m ntkcheck.store`: arguments and output only."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.markup import escape

from ntkcheck.json_text import json_text
from ntkcheck.store import Record, Store, StoreError, lines, table
from ntkcheck.store.export import check_file
from ntkcheck.store.export import export as write_file
from ntkcheck.store.option import DEFAULT_STORE, StorePath
from ntkcheck.store.recover import recover as copy_readable
from ntkcheck.store.repeat import repetitions
from ntkcheck.store.verify import problems

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help="Look at stored measurements."
)
CONSOLE = Console(stderr=True)  # messages; standard output is for results
LEAST_COLUMNS = 200  # of tables where the output is not a terminal


@app.command()
def ls(
    store: StorePath = DEFAULT_STORE,
    function: Annotated[
        str | None, typer.Option(help="Only what this function measured, package.module:function.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Only where a parameter has this value, name=value; JSON, or else a string. Repeat for several."
        ),
    ] = None,
    failed: Annotated[
        bool | None, typer.Option("--failed/--succeeded", help="Only failures, or only successes.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many at most, the newest; 0 for all.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Everything about each, as JSON.")] = False,
) -> None:
    """List records, the newest last."""
    with _errors_told(), Store(store, read_only=True) as opened:
        found = opened.records(function, _wanted(where), failed, newest_first=True)
        records = list(islice(found, limit) if limit else found)[::-1]
        total = len(opened)
    if as_json:
        sys.stdout.write(json_text([table.document(record) for record in records]))
        return
    _print(table.listing(records))
    CONSOLE.print(f"{len(records)} of {total} records")


@app.command()
def show(
    key: Annotated[str, typer.Argument(metavar="KEYPREFIX", help="The beginning of a key, as `ls` shows it.")],
    store: StorePath = DEFAULT_STORE,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, the current record first.")] = False,
) -> None:
    """Show everything about one record, and the former ones of its key."""
    with _errors_told(), Store(store, read_only=True) as opened:
        found = opened.versions(key)
        if len(found) != 1:
            among = (
                f"{len(found)} records: {', '.join(each[: table.SHORT] for each in islice(found, 5))}, ..."
                if found
                else "none"
            )
            raise ValueError(f"`key` must begin the key of one record, got {key!r}, which begins {among}; see `ls`.")
    (versions,) = found.values()
    if as_json:
        sys.stdout.write(json_text([table.document(record) for record in reversed(versions)]))
    else:
        _print(table.detail(versions))


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A file that ends in .csv or .parquet; or in .jsonl or .jsonl.gz.")],
    store: StorePath = DEFAULT_STORE,
    function: Annotated[str | None, typer.Option(help="Only what this function measured.")] = None,
) -> None:
    """Write the current records: as flat rows, one a quantity; or, to .jsonl, as they are, for `import`."""
    with _errors_told(), Store(store, read_only=True) as opened:
        check_file(file)
        records = opened.records(function)
        if file.name.endswith(lines.SUFFIXES):
            told = f"{lines.write((record for record in records if not record.failure), file)} records"
        else:
            told = f"{write_file(records, file)} rows"
    CONSOLE.print(f"{told} in {escape(str(file))}", soft_wrap=True)


@app.command("import")
def import_records(
    file: Annotated[Path, typer.Argument(help="A file that `export` wrote, .jsonl or .jsonl.gz.")],
    store: StorePath = DEFAULT_STORE,
) -> None:
    """Add the records of a file, measured elsewhere; what the store has of their keys stays."""
    with _errors_told():
        records = lines.read(file)
        with Store(store) as opened:
            before = len(opened)
            opened.add(*records)
            added = len(opened) - before
    CONSOLE.print(f"{added} of {len(records)} records were new in {escape(str(store))}", soft_wrap=True)


@app.command()
def verify(
    store: StorePath = DEFAULT_STORE,
    sample: Annotated[int, typer.Option(min=0, help="How many records to measure again, drawn at random.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    at_most: Annotated[
        float, typer.Option(min=0, help="Leave out what took longer than this to measure, in seconds.")
    ] = 120,
) -> None:
    """Check that the file holds what was written, and measure some of it again; exit with code 1 where something does not hold."""
    with _errors_told():
        found = list(problems(store))
        for problem in found:
            _line("red", "does not hold", problem)
        with Store(store, read_only=True) as opened:
            CONSOLE.print(f"{len(opened)} records: {len(found)} problems")
            failures = 0 if found else _measure_again(opened, sample, seed, at_most)
    if found or failures:
        raise typer.Exit(1)


@app.command()
def recover(
    damaged: Annotated[Path, typer.Argument(help="The damaged store; it is not changed.")],
    new: Annotated[Path, typer.Argument(help="The store to make.")],
) -> None:
    """Copy every record of a damaged store that can be read and whose checksum holds to a new store."""
    with _errors_told():
        copied, lost = copy_readable(damaged, new)
    CONSOLE.print(f"{copied} records in {escape(str(new))}; at least {len(lost)} lost", soft_wrap=True)


def _measure_again(store: Store, count: int, seed: int, at_most: float) -> int:
    """Tell what came of it; the number of records that do not hold."""
    failures, not_possible = 0, Counter[tuple[str, str]]()
    with CONSOLE.status("measuring again") as status:

        def started(record: Record) -> None:
            status.update(f"measuring {escape(_named(record))} again, which took {record.seconds:.3g} s")

        for record, holds, reason in repetitions(store, count, seed, at_most, started):
            if holds is None:
                not_possible[record.function, reason] += 1
                continue
            failures += not holds
            result = ("green", "holds") if holds else ("red", "does not hold")
            _line(*result, f"{_named(record)}: {reason}; it took {record.seconds:.3g} s when it was measured")
    for (function, reason), times in not_possible.items():
        _line("yellow", "not checked", f"{times} of {function}: {reason}")
    return failures


def _named(record: Record) -> str:
    return f"{record.key[: table.SHORT]} {record.function}"


def _wanted(where: list[str] | None) -> dict[str, Any]:
    wanted = {}
    for condition in where or []:
        name, separator, value = condition.partition("=")
        if not separator:
            raise ValueError(f"`where` must have the form name=value, got {condition!r}; for example depth=50.")
        try:
            wanted[name] = json.loads(value)
        except ValueError:
            wanted[name] = value
    return wanted


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except (StoreError, ValueError) as error:
        _line("red", "error:", str(error))
        raise typer.Exit(2) from None


def _line(style: str, word: str, text: str) -> None:
    CONSOLE.print(f"[{style}]{word}[/{style}] {escape(text)}", soft_wrap=True, highlight=False)


def _print(renderable: RenderableType) -> None:
    out = Console()
    Console(width=max(out.width, LEAST_COLUMNS) if not out.is_terminal else None).print(renderable)


if __name__ == "__main__":
    app()
