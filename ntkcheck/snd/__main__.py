"""The command `python -m ntkcheck.snd`: arguments, 64-bit and output only."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import jax
import typer
from rich.console import Console
from rich.markup import escape

from ntkcheck import claims, data, regime, thread_pool
from ntkcheck.claims import document as claims_document
from ntkcheck.claims import table as claims_table
from ntkcheck.disturbance import Experiment, Result, Settings, prepare, run, stored, table
from ntkcheck.disturbance import folder as results
from ntkcheck.disturbance.document import to_json, words
from ntkcheck.disturbance.normalizer import NAMES
from ntkcheck.disturbance.settings import DEFAULT_GROUP_SIZES
from ntkcheck.output import claim_file, claim_folder, end_interrupted, results_console
from ntkcheck.store import Store, StoreError
from ntkcheck.store.option import DEFAULT_STORE, StorePath
from ntkcheck.sweep import progress_bar

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
DEFAULT = Settings()
CLAIMS = ("IN-1", "IN-2", "IN-3", "IN-4", "IN-5", "IN-6", "IN-7", "IN-8", "IN-10", "RB-1", "RB-3", "LT-5")
FAST_CLAIMS = {
    "IN-1",
    "IN-2",
    "IN-10",
}  # a few seconds each; the others take minutes, and are known where they were checked before
CONSOLE = Console(stderr=True)  # progress and messages; standard output is for results
T = TypeVar("T")


@app.command()
def main(
    population: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What is normalised; repeat for several, or separate by commas. Of {', '.join(data.POPULATIONS)}, or a .npy or "
            ".npz file, or a folder with MNIST or CIFAR-10 as published. Default: all that are named."
        ),
    ] = None,
    normalizer: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What to test, in the same way. Of {', '.join(NAMES)}, or path/to/file.py:function for your own function (batch, "
            f"features) -> (batch, features). Default: {', '.join(DEFAULT.normalizers)}."
        ),
    ] = None,
    batch_size: Annotated[
        list[str] | None, typer.Option(help=f"Samples that are normalised together, m. Default: {DEFAULT.batch_sizes}.")
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(help=f"Numbers of features d of the named populations. Default: {DEFAULT.features}."),
    ] = None,
    group_size: Annotated[
        list[str] | None,
        typer.Option(help=f"Features per group of whitenings and group_norm. Default: {DEFAULT_GROUP_SIZES}."),
    ] = None,
    groups: Annotated[
        list[str] | None, typer.Option(help="The same given as numbers of groups: 4 is groups of d / 4 features.")
    ] = None,
    iterations: Annotated[
        list[str] | None,
        typer.Option(
            help="Newton steps T of iter_norm: the first at every batch size, the others at the middle one alone. "
            f"Default: {DEFAULT.iterations}."
        ),
    ] = None,
    anchors: Annotated[int, typer.Option(help="Samples whose disturbance is measured, at least.")] = DEFAULT.anchors,
    draws: Annotated[int, typer.Option(help="Batches of every anchor, on average.")] = DEFAULT.draws,
    design: Annotated[
        str,
        typer.Option(
            help="shared: every sample of a batch is an anchor; anchored: every anchor has batches of its own, as in the paper."
        ),
    ] = DEFAULT.design,
    replacement: Annotated[
        bool, typer.Option(help="Whether the samples of a batch are drawn independently, or differ.")
    ] = DEFAULT.replacement,
    samples: Annotated[int, typer.Option(help="Samples of a population, at most.")] = DEFAULT.samples,
    seed: Annotated[
        int, typer.Option(help="Seed of everything random; the same seed gives the same numbers.")
    ] = DEFAULT.seed,
    output: Annotated[Path, typer.Option(help="Folder for JSON, CSV and the figure.")] = Path("results/snd"),
    json: Annotated[
        str | None,
        typer.Option(help="Also write the JSON to this file; - prints it to standard output in place of the tables."),
    ] = None,
    store: StorePath = DEFAULT_STORE,
    workers: Annotated[int, typer.Option(help="Local processes to measure in; 0 measures in this one.")] = 0,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler whose workers measure instead.")
    ] = None,
    all_claims: Annotated[
        bool,
        typer.Option(
            "--all-claims",
            help="Check every claim on SND, which takes minutes; else the fast ones, and others where the store has them.",
        ),
    ] = False,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="A first look: two populations, fewer draws, and no claims but those in the store."
        ),
    ] = False,
) -> None:
    """Measure how much normalisers disturb a sample through the others of its batch, and hold it against its law."""
    thread_pool.restart_without()
    jax.config.update("jax_enable_x64", True)
    try:
        settings = Settings(
            populations=_words(population, DEFAULT.populations),
            normalizers=_words(normalizer, DEFAULT.normalizers),
            batch_sizes=_numbers("batch_size", batch_size, DEFAULT.batch_sizes),
            features=_numbers("features", features, DEFAULT.features),
            group_sizes=_numbers("group_size", group_size, ()),
            groups=_numbers("groups", groups, ()),
            iterations=_numbers("iterations", iterations, DEFAULT.iterations),
            anchors=anchors,
            draws=draws,
            design=design,
            replacement=replacement,
            samples=samples,
            seed=seed,
        )
        experiment = prepare(settings.quick() if quick else settings)
        folder = claim_folder(output)
        if json not in (None, "-"):
            claim_file(Path(json))
        with Store(store) as opened:
            try:
                with progress_bar(CONSOLE) as on_progress:
                    result = run(experiment, opened, workers, scheduler, on_progress)
                verdicts = _judged(experiment, opened, set(CLAIMS) if all_claims else set() if quick else FAST_CLAIMS)
            except KeyboardInterrupt:
                _interrupted(stored(experiment, opened), folder)
    except (ValueError, FileNotFoundError, StoreError) as error:
        CONSOLE.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from None
    _show(result, verdicts, folder, json)
    if result.failures:
        raise typer.Exit(1)


def _words(given: list[str] | None, default: tuple[T, ...]) -> tuple[str, ...] | tuple[T, ...]:
    return tuple(name.strip() for item in given for name in item.split(",")) if given else default


def _numbers(option: str, given: list[str] | None, default: tuple[int, ...]) -> tuple[int, ...]:
    """Whole numbers, separated by commas or from several options."""
    try:
        return tuple(int(word) for word in _words(given, ())) if given else default
    except ValueError:
        raise ValueError(
            f"`{option}` must be whole numbers separated by commas, got {','.join(given or [])!r}; for example 16,64."
        ) from None


def _interrupted(result: Result, folder: Path) -> NoReturn:
    """Leave what was measured where a reader looks for it, and say so."""
    results.write_numbers(result, {}, folder)
    end_interrupted(CONSOLE, len(result.records), len(result.experiment.cells), folder)


def _judged(experiment: Experiment, store: Store, measured: set[str]) -> dict[str, claims.Verdict]:
    """Verdicts on the claims about SND: those of `measured` are checked, the others known if the store has them."""
    ledger = {id: claim for id, claim in claims.load().items() if id in CLAIMS}
    evidence = claims.Evidence(store, regime.prepare(regime.Settings(seed=experiment.settings.seed)))
    with CONSOLE.status("claims") as status:
        checked = claims.check(
            {id: claim for id, claim in ledger.items() if id in measured},
            evidence,
            threads=1,  # two programs with batched factorisations at the same time can wait for each other for ever
            on_done=lambda id, done: status.update(f"claims: {done} of {len(measured)}"),
        )
    found = {id: checked.get(id) or claims.known(claim, evidence) for id, claim in ledger.items()}
    return claims.verdicts(ledger, {id: each.answers for id, each in found.items()})


def _show(result: Result, verdicts: dict[str, claims.Verdict], folder: Path, json: str | None) -> None:
    judged = claims_document.document(verdicts)
    paths = [*results.write_numbers(result, judged, folder), *results.write_figures(result, folder)]
    if json == "-":
        sys.stdout.write(to_json(result, judged))
    else:
        results_console().print(table.render(result), claims_table.render(verdicts))
    if json not in (None, "-"):
        Path(json).write_text(to_json(result, judged), encoding="utf-8")
    for cell, reason in result.failures.items():
        CONSOLE.print(f"[red]failed[/red] {escape(words(cell))}: {escape(reason)}", soft_wrap=True)
    CONSOLE.print(f"results in {escape(str(folder))}: {', '.join(path.name for path in paths)}", soft_wrap=True)


if __name__ == "__main__":
    app()
