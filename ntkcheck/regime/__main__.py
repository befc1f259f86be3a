"""The command `python -m ntkcheck.regime`: arguments, 64-bit and output only."""

import os
import sys
from pathlib import Path
from typing import Annotated

import jax
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ntkcheck import activations, claims, normalizers
from ntkcheck.errors import unknown_name
from ntkcheck.regime import folder as results
from ntkcheck.regime import table
from ntkcheck.regime.document import to_json
from ntkcheck.regime.run import OVERLAPPING, Result, run
from ntkcheck.regime.settings import DEFAULT_NORMALIZERS, Settings, prepare
from ntkcheck.regime.verdict import VERDICTS

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
DEFAULT = Settings()
CONSOLE = Console(stderr=True)  # progress and messages; standard output is for results
NO_THREAD_POOL = "--xla_cpu_multi_thread_eigen=false"
LEAST_COLUMNS = 160  # of tables where the output is not a terminal


@app.command()
def main(
    data: Annotated[
        str,
        typer.Option(
            help="Inputs: digits (bundled), gaussian, a .npy or .npz file, or a folder with MNIST or CIFAR-10 as published."
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
    json: Annotated[
        str | None,
        typer.Option(help="Also write the JSON to this file; - prints it to standard output in place of the tables."),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(
            help=f"Exit with code 1 unless every normaliser's correlation is {', '.join(VERDICTS)} (one of these)."
        ),
    ] = None,
    expect_gradient: Annotated[str | None, typer.Option(help="The same for the gradient.")] = None,
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
    if not set(_chosen(normalizer)) <= OVERLAPPING and NO_THREAD_POOL not in os.environ.get("XLA_FLAGS", ""):
        _restart_without_thread_pool()
    settings = Settings(
        data=data,
        normalizers=_chosen(normalizer),
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
    try:
        expected = {"correlation": _word("expect", expect), "gradient": _word("expect_gradient", expect_gradient)}
        result = Result(prepare(settings.quick() if quick else settings))
        folder = results.claim_folder(output)
        if json not in (None, "-"):
            results.claim_file(Path(json))
    except (ValueError, FileNotFoundError) as error:
        CONSOLE.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from None
    _run(result, folder, claims.QUICK if quick else tuple(claims.CHECKS))
    _show(result, folder, json)
    if not _as_expected(result, expected):
        raise typer.Exit(1)


def _chosen(given: list[str] | None) -> tuple[str, ...]:
    return tuple(name.strip() for item in given for name in item.split(",")) if given else DEFAULT_NORMALIZERS


def _restart_without_thread_pool() -> None:
    """Start over with XLA off its thread pool, on which batched factorisations can wait for each other for ever (see `run`)."""
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {NO_THREAD_POOL}"  # read once, when JAX is imported
    os.execv(sys.executable, [sys.executable, "-m", "ntkcheck.regime", *sys.argv[1:]])


def _word(option: str, word: str | None) -> str | None:
    if word is not None and word not in VERDICTS:
        raise unknown_name(option, word, VERDICTS)
    return word


def _run(result: Result, folder: Path, claim_ids: tuple[str, ...]) -> None:
    """Run with progress on standard error; an interruption leaves what was measured, and says so."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    try:
        with Progress(*columns, console=CONSOLE) as progress:
            task = progress.add_task("starting", total=None)
            run(
                result,
                claim_ids=claim_ids,
                on_stage=lambda name, done, total: progress.update(task, description=name, completed=done, total=total),
                on_change=lambda result: results.write_numbers(result, folder),
            )
    except KeyboardInterrupt:
        results.write_numbers(result, folder)
        CONSOLE.print(
            f"[yellow]interrupted[/yellow] after {len(result.seconds)} stages; what was measured until then is in "
            f"{escape(str(folder))}",
            soft_wrap=True,
        )
        os._exit(130)  # an ordinary exit would wait for the stages that are still computing


def _show(result: Result, folder: Path, json: str | None) -> None:
    paths = [*results.write_numbers(result, folder), *results.write_figure(result, folder)]
    if json == "-":
        sys.stdout.write(to_json(result))
    else:
        out = Console()
        Console(width=max(out.width, LEAST_COLUMNS) if not out.is_terminal else None).print(table.render(result))
    if json not in (None, "-"):
        Path(json).write_text(to_json(result), encoding="utf-8")
    CONSOLE.print(f"results in {escape(str(folder))}: {', '.join(path.name for path in paths)}", soft_wrap=True)


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
