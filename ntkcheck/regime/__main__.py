"""The command `python -m ntkcheck.regime`: arguments, 64-bit and output only."""

from pathlib import Path
from typing import Annotated

import jax
import typer

from ntkcheck import activations, claims, command, normalizers, thread_pool
from ntkcheck.claims import document as claims_document
from ntkcheck.claims import table as claims_table
from ntkcheck.command import CONSOLE, Json, Scheduler, Workers
from ntkcheck.errors import unknown_name
from ntkcheck.regime import folder as results
from ntkcheck.regime import table
from ntkcheck.regime.document import by_name
from ntkcheck.regime.run import OVERLAPPING, Result, run, stored
from ntkcheck.regime.settings import DEFAULT_NORMALIZERS, Experiment, Settings, prepare
from ntkcheck.regime.verdict import VERDICTS
from ntkcheck.store import Store
from ntkcheck.store.option import DEFAULT_STORE, StorePath
from ntkcheck.sweep import progress_bar

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
DEFAULT = Settings()
CLAIMS = ("MN-1", "MN-2", "MN-3", "MN-4", "MN-5", "MN-6", "MN-7", "LT-1", "LT-2", "LT-4")  # on what such a run measures
SLOW_CLAIMS = {"MN-5"}  # which compiles networks of several widths


@app.command()
def main(
    data: Annotated[
        str,
        typer.Option(
            help="Inputs: digits (bundled), gaussian, a .npy or .npz file, or a folder with MNIST or CIFAR as published."
        ),
    ] = DEFAULT.data,
    normalizer: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What to test; repeat for several, or separate by commas. One of {', '.join(normalizers.NAMES)}, or "
            "path/to/file.py:function for your own function (batch, features) -> (batch, features). "
            f"Default: {', '.join(DEFAULT_NORMALIZERS)}."
        ),
    ] = None,
    activation: Annotated[str, typer.Option(help=f"One of {', '.join(activations.names())}.")] = DEFAULT.activation,
    depth: Annotated[int, typer.Option(help="Number of hidden layers.")] = DEFAULT.depth,
    width: Annotated[int, typer.Option(help="Neurons of every hidden layer of the finite networks.")] = DEFAULT.width,
    batch_size: Annotated[int, typer.Option(help="Samples that are normalised together.")] = DEFAULT.batch_size,
    pairs: Annotated[
        int, typer.Option(help="Input pairs whose correlation is followed through depth.")
    ] = DEFAULT.pairs,
    seeds: Annotated[
        int, typer.Option(help="Random networks per normaliser; their scatter is the standard error.")
    ] = DEFAULT.seeds,
    sigma_w: Annotated[
        float | None,
        typer.Option(help="Weight std times sqrt(fan-in). Default: critical for the activation (2 ** 0.5 for ReLU)."),
    ] = None,
    sigma_b: Annotated[float, typer.Option(help="Bias standard deviation.")] = DEFAULT.sigma_b,
    group_size: Annotated[
        int | None,
        typer.Option(help="Features per group of whitenings. Default: the largest divisor of the width up to 16."),
    ] = None,
    iterations: Annotated[int, typer.Option(help="Newton iterations of iter_norm.")] = DEFAULT.iterations,
    samples: Annotated[
        int,
        typer.Option(
            help="Neurons drawn per layer where infinite width has to be sampled (iter_norm, your own function)."
        ),
    ] = DEFAULT.samples,
    seed: Annotated[
        int, typer.Option(help="Seed of everything random; the same seed gives the same numbers.")
    ] = DEFAULT.seed,
    output: Annotated[Path, typer.Option(help="Folder for JSON, CSV and the figure.")] = Path("results/regime"),
    json: Json = None,
    expect: Annotated[
        str | None,
        typer.Option(
            help=f"Exit with code 1 unless every normaliser's correlation is {', '.join(VERDICTS)} (one of these)."
        ),
    ] = None,
    expect_gradient: Annotated[str | None, typer.Option(help="The same for the gradient.")] = None,
    store: StorePath = DEFAULT_STORE,
    workers: Workers = 0,
    scheduler: Scheduler = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="A first look: fewer networks and pairs, three normalisers unless named, no MN-5.",
        ),
    ] = False,
) -> None:
    """Test which regime normalisers put a deep network in: order, criticality or chaos, in infinite and in finite width."""
    jax.config.update("jax_enable_x64", True)
    chosen = command.words(normalizer) or DEFAULT_NORMALIZERS
    if not set(chosen) <= OVERLAPPING:
        thread_pool.restart_without()
    settings = Settings(
        data=data,
        normalizers=chosen,
        activation=activation,
        depth=depth,
        width=width,
        batch_size=batch_size,
        pairs=pairs,
        seeds=seeds,
        sigma_w=sigma_w,
        sigma_b=sigma_b,
        group_size=group_size,
        iterations=iterations,
        samples=samples,
        seed=seed,
    )
    with command.errors_in_one_line():
        expected = {"correlation": _word("expect", expect), "gradient": _word("expect_gradient", expect_gradient)}
        experiment = prepare(settings.quick() if quick else settings)
        folder = command.claim_results(output, json)
        with command.opened(store, folder, lambda kept: _keep(stored(experiment, kept), folder)) as kept:
            with progress_bar(CONSOLE) as on_progress:
                result = run(experiment, kept, workers, scheduler, on_progress)
            verdicts = _judged(experiment, kept, SLOW_CLAIMS if quick else set())
    _show(result, verdicts, folder, json)
    if not _as_expected(result, expected) or result.failures:
        raise typer.Exit(1)


def _word(option: str, word: str | None) -> str | None:
    if word is not None and word not in VERDICTS:
        raise unknown_name(option, word, VERDICTS)
    return word


def _keep(result: Result, folder: Path) -> tuple[int, int]:
    """Write what was measured before an interruption; the number of cells, and of those that were asked for."""
    results.write_numbers(result, {}, folder)
    return len(result.records), 2 * len(result.experiment.networks)


def _judged(experiment: Experiment, store: Store, left_out: set[str]) -> dict[str, claims.Verdict]:
    """Verdicts on the claims that such networks bear on; what they need of other normalisers is used if the store has it."""
    return command.verdicts(claims.Evidence(store, experiment, measures=False), set(CLAIMS) - left_out, threads=2)


def _show(result: Result, verdicts: dict[str, claims.Verdict], folder: Path, json: str | None) -> None:
    numbers = results.write_numbers(result, claims_document.document(verdicts), folder)
    tables = table.render(result), claims_table.render(verdicts)
    command.show([*numbers, *results.write_figure(result, folder)], json, tables, by_name(result))


def _as_expected(result: Result, expected: dict[str, str | None]) -> bool:
    """Say which verdicts differ from what was expected."""
    differing = [
        f"{name}: {respect} is {found[respect].verdict}, expected {word}"
        for name, found in result.regimes().items()
        for respect, word in expected.items()
        if word and found[respect].verdict != word
    ]
    for line in differing:
        CONSOLE.print(f"[red]not as expected[/red] {line}")
    return not differing


if __name__ == "__main__":
    app()
