"""The command `python -m ntkcheck.snd`: arguments, 64-bit and output only."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import jax
import typer

from ntkcheck import claims, command, data, regime, thread_pool
from ntkcheck.claims import document as claims_document
from ntkcheck.claims import table as claims_table
from ntkcheck.command import CONSOLE, Json, Scheduler, Workers
from ntkcheck.disturbance import Experiment, Result, Settings, prepare, run, stored, table
from ntkcheck.disturbance import folder as results
from ntkcheck.disturbance.document import by_name
from ntkcheck.disturbance.normalizer import NAMES
from ntkcheck.disturbance.settings import DEFAULT_GROUP_SIZES
from ntkcheck.store import Store
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


@app.command()
def main(
    population: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What is normalised; repeat for several, or separate by commas. Of {', '.join(data.POPULATIONS)}, or a .npy or "
            ".npz file, or a folder with MNIST, CIFAR-10 or CIFAR-100 as published. Default: all that are named."
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
    json: Json = None,
    store: StorePath = DEFAULT_STORE,
    workers: Workers = 0,
    scheduler: Scheduler = None,
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
    with command.errors_in_one_line():
        settings = Settings(
            populations=command.words(population) or DEFAULT.populations,
            normalizers=command.words(normalizer) or DEFAULT.normalizers,
            batch_sizes=_numbers("batch_size", batch_size) or DEFAULT.batch_sizes,
            features=_numbers("features", features) or DEFAULT.features,
            group_sizes=_numbers("group_size", group_size),
            groups=_numbers("groups", groups),
            iterations=_numbers("iterations", iterations) or DEFAULT.iterations,
            anchors=anchors,
            draws=draws,
            design=design,
            replacement=replacement,
            samples=samples,
            seed=seed,
        )
        experiment = prepare(settings.quick() if quick else settings)
        folder = command.claim_results(output, json)
        with command.opened(store, folder, lambda kept: _keep(stored(experiment, kept), folder)) as kept:
            with progress_bar(CONSOLE) as on_progress:
                result = run(experiment, kept, workers, scheduler, on_progress)
            verdicts = _judged(experiment, kept, CLAIMS if all_claims else () if quick else FAST_CLAIMS)
    _show(result, verdicts, folder, json)
    if result.failures:
        raise typer.Exit(1)


def _numbers(option: str, given: list[str] | None) -> tuple[int, ...]:
    """Whole numbers, separated by commas or from several options."""
    try:
        return tuple(map(int, command.words(given)))
    except ValueError:
        raise ValueError(
            f"`{option}` must be whole numbers separated by commas, got {','.join(given or [])!r}; for example 16,64."
        ) from None


def _keep(result: Result, folder: Path) -> tuple[int, int]:
    """Write what was measured before an interruption; the number of cells, and of those that were asked for."""
    results.write_numbers(result, {}, folder)
    return len(result.records), len(result.experiment.cells)


def _judged(experiment: Experiment, store: Store, checked: Collection[str]) -> dict[str, claims.Verdict]:
    """Verdicts on the claims about SND: those of `checked` are checked, the others known if the store has them.

    One at a time: two programs with batched factorisations at the same time can wait for each other for ever.
    """
    evidence = claims.Evidence(store, regime.prepare(regime.Settings(seed=experiment.settings.seed)))
    return command.verdicts(evidence, CLAIMS, checked)


def _show(result: Result, verdicts: dict[str, claims.Verdict], folder: Path, json: str | None) -> None:
    numbers = results.write_numbers(result, claims_document.document(verdicts), folder)
    tables = table.render(result), claims_table.render(verdicts)
    command.show([*numbers, *results.write_figures(result, folder)], json, tables, by_name(result))


if __name__ == "__main__":
    app()
