"""The command `ntkcheck claims` (`python -m ntkcheck.claims`): arguments, 64-bit and output only."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import jax
import typer
from rich.console import Console
from rich.markup import escape

from ntkcheck import claims, thread_pool
from ntkcheck.claims import details, readme, table, verdict_file
from ntkcheck.claims.document import document
from ntkcheck.errors import unknown_name
from ntkcheck.json_text import json_text
from ntkcheck.output import claim_file, replace_file, results_console
from ntkcheck.regime import Settings, prepare
from ntkcheck.store import Store, StoreError
from ntkcheck.store.option import DEFAULT_STORE, StorePath

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    help="Every claim with its verdict; `show` all about one, `check` measures what is missing, `export` writes them down.",
)
CONSOLE = Console(stderr=True)  # progress and messages; standard output is for results

VERDICTS = Path("figures/data/verdicts.csv")  # as committed

Own = Annotated[
    list[Path] | None,
    typer.Option("--own", help="A TOML file with claims of your own, beside the shipped ones; repeatable."),
]
Again = Annotated[Path | None, typer.Option("--store", help="The store, if it was not given before the command.")]
Json = Annotated[bool, typer.Option("--json", help="JSON in place of the table.")]


@app.callback()
def ledger(
    context: typer.Context,
    store: StorePath = DEFAULT_STORE,
    own: Own = None,
    stale: Annotated[
        bool,
        typer.Option(
            "--stale", help="Only verdicts that rest on older code, other parameters or replaced measurements."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """List every claim with its verdict, from what the store has; nothing is measured."""
    if context.invoked_subcommand == "check":
        thread_pool.restart_without()
    jax.config.update("jax_enable_x64", True)
    context.obj = (store, own or [])
    if context.invoked_subcommand:
        return
    with _ledger(context, [], measures=False) as (chosen, evidence):
        found = {id: claims.known(claim, evidence) for id, claim in chosen.items()}
        notes = {id: reason for id, claim in chosen.items() if (reason := claims.stale(claim, evidence))}
    if stale:
        chosen = {id: claim for id, claim in chosen.items() if id in notes}
    _print(chosen, found, notes, json)


@app.command()
def show(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="The claim, MN-3.")],
    store: Again = None,
    own: Own = None,
    json: Json = False,
) -> None:
    """Show everything about one claim: statement, source, tests with bounds and measurements, provenance."""
    _given_again(context, store, own)
    with _ledger(context, [id], measures=False) as (chosen, evidence):
        claim, found = chosen[id], claims.known(chosen[id], evidence)
        note = claims.stale(claim, evidence)
        records = [r for key in _rests_on(found) if (r := evidence.store.find(key))]
    verdict = claims.verdicts(chosen, {id: found.answers})[id]
    if json:
        sys.stdout.write(json_text(document({id: verdict})[id] | details.provenance(found, records, note)))
    else:
        results_console().print(details.render(verdict, found, records, note))


@app.command()
def check(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(help="Claims to check; all by default.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Check again what was checked already.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="The data that a claim needs: a folder with CIFAR as published.")
    ] = None,
    store: Again = None,
    own: Own = None,
    json: Json = False,
) -> None:
    """Measure what is missing and judge; what the store has is not measured again."""
    _given_again(context, store, own)
    with _ledger(context, ids or [], measures=True, data=data) as (chosen, evidence):
        try:
            with CONSOLE.status("checking") as status:
                found = claims.check(
                    chosen,
                    evidence,
                    fresh=fresh,
                    on_done=lambda id, done: status.update(f"checked {done} of {len(chosen)}, last {id}"),
                )
        except KeyboardInterrupt:
            CONSOLE.print(
                "[yellow]interrupted[/yellow]; what was measured is in the store: the same command goes on from there"
            )
            os._exit(130)  # an ordinary exit would wait for the checks that are still computing
    _print(chosen, found, {}, json)


@app.command()
def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to write.")] = VERDICTS,
    store: Again = None,
    own: Own = None,
) -> None:
    """Write every verdict with its answers as CSV, from what the store has; nothing is measured."""
    _given_again(context, store, own)
    with _ledger(context, [], measures=False) as (chosen, evidence):
        claim_file(file)
        found = {id: claims.known(claim, evidence) for id, claim in chosen.items()}
        stale = [id for id, claim in chosen.items() if claims.stale(claim, evidence)]
    judged = claims.verdicts(chosen, {id: checked.answers for id, checked in found.items()})
    records = {id: checked.record for id, checked in found.items() if checked.record}
    replace_file(file, verdict_file.to_csv(judged, records, "ntkcheck claims export"))
    CONSOLE.print(f"{len(judged)} verdicts in {escape(str(file))}", soft_wrap=True)
    if stale:
        words = f"[yellow]stale[/yellow]: {', '.join(stale)}; `ntkcheck claims check --fresh` measures again"
        CONSOLE.print(words, soft_wrap=True)


@app.command("readme")
def write_readme(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The text whose table is written.")] = Path("README.md"),
    verdicts: Annotated[Path, typer.Option(help="What `ntkcheck claims export` wrote.")] = VERDICTS,
    own: Own = None,
) -> None:
    """Write the table of verdicts between its two marks in README, from exported verdicts; no store is read."""
    _given_again(context, None, own)
    try:
        chosen = claims.load(context.obj[1])
        kept = verdict_file.read(verdicts)
        if unlike := verdict_file.differences(kept, chosen):
            raise ValueError(
                f"`verdicts` must be as the claims are judged today, got {str(verdicts)!r}, where {unlike[0]}; export again."
            )
        judged = claims.verdicts(chosen, verdict_file.answers(kept))
        replace_file(file, readme.insert(file.read_text(encoding="utf-8"), readme.table(judged)))
    except (ValueError, FileNotFoundError) as error:
        raise _failed(error) from None


def _given_again(context: typer.Context, store: Path | None, own: list[Path] | None) -> None:
    """Options of the group count as well where they follow the command's name."""
    before, earlier = context.obj
    context.obj = (store or before, [*earlier, *(own or [])])


@contextmanager
def _ledger(
    context: typer.Context, ids: list[str], measures: bool, data: Path | None = None
) -> Iterator[tuple[dict[str, claims.Claim], claims.Evidence]]:
    """The chosen claims and the evidence on them; bad input and a broken store end the command with one line."""
    path, own = context.obj
    try:
        everything = claims.load(own)
        for id in ids:
            if id not in everything:
                raise unknown_name("ids", id, everything)
        if data is not None and not data.exists():
            raise FileNotFoundError(f"`data` must name what exists, got {data}; check the path from {Path.cwd()}.")
        chosen = {id: claim for id, claim in everything.items() if not ids or id in ids}
        with Store(path) as store:
            yield chosen, claims.Evidence(store, prepare(Settings()), measures, data and str(data))
    except (ValueError, FileNotFoundError, StoreError) as error:
        raise _failed(error) from None


def _failed(error: Exception) -> typer.Exit:
    """Tell an error in one line."""
    CONSOLE.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
    return typer.Exit(2)


def _rests_on(found: claims.Checked) -> list[str]:
    return [key for key, _ in claims.rests_on(found.record)] if found.record else []


def _print(
    chosen: Mapping[str, claims.Claim], found: Mapping[str, claims.Checked], notes: Mapping[str, str], json: bool
) -> None:
    verdicts = claims.verdicts(chosen, {id: found[id].answers for id in chosen})
    if json:
        entries = document(verdicts)
        sys.stdout.write(json_text({id: entry | {"stale": notes.get(id)} for id, entry in entries.items()}))
    else:
        results_console().print(table.render_ledger(verdicts, notes))


if __name__ == "__main__":
    app()
