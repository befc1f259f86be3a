"""The command `python -m ntkcheck.reference`: arguments, devices and output only."""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import jax
import typer

from ntkcheck import claims, command, models
from ntkcheck.claims import document as claims_document
from ntkcheck.claims import table as claims_table
from ntkcheck.command import CONSOLE, Json, Scheduler, Workers
from ntkcheck.reference import folder as results
from ntkcheck.reference import images, table
from ntkcheck.reference.case import PLATFORMS, PRECISIONS
from ntkcheck.reference.experiment import Experiment, prepare
from ntkcheck.reference.run import Result, run, stored
from ntkcheck.reference.settings import WHAT, Settings
from ntkcheck.regime import Settings as RegimeSettings
from ntkcheck.regime import prepare as prepare_regime
from ntkcheck.store import Store
from ntkcheck.store.option import DEFAULT_STORE, StorePath
from ntkcheck.sweep import progress_bar

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
DEFAULT = Settings()
CLAIMS = {"MN-10": {"memory", "program"}}  # with the kinds of measurement that they rest on


@app.command()
def main(
    model: Annotated[
        list[str] | None,
        typer.Option(help=f"Repeat for several, or separate by commas: {', '.join(models.NAMES)}. Default: resnet18."),
    ] = None,
    normalizer: Annotated[
        list[str] | None,
        typer.Option(help=f"The same: {', '.join(models.NORMALIZERS)}. Default: batch_norm, mimic_norm."),
    ] = None,
    what: Annotated[
        list[str] | None,
        typer.Option(
            help=f"The same: {', '.join(WHAT)}; all by default. memory: bytes saved for the backward pass, by shapes "
            "alone; program: the compiled step's temporary memory and the device's peak."
        ),
    ] = None,
    form: Annotated[
        str | None, typer.Option(help="cifar or imagenet, whose first layers differ. Default: by the image.")
    ] = None,
    image: Annotated[
        int | None, typer.Option(help="Side of the images. Default: 32, or 224 in the ImageNet form.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Images of a batch. Default: 32; 256 for memory and program, as printed.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Logits. Default: 10 for the NTK, else 100, or 1000 in the ImageNet form.")
    ] = None,
    data: Annotated[
        str,
        typer.Option(help=f"Images: {', '.join(images.NAMES)}, an array file, or a folder with CIFAR or MNIST."),
    ] = DEFAULT.data,
    device: Annotated[
        str | None, typer.Option(help=f"{' or '.join(PLATFORMS)}. Default: what JAX prefers. An error if it is absent.")
    ] = None,
    precision: Annotated[
        str, typer.Option(help=f"Of matrix products: {', '.join(PRECISIONS)} (the device's own).")
    ] = DEFAULT.precision,
    memory: Annotated[
        str | None, typer.Option(help='What the NTK\'s program may take, as "4GB". Default: no limit.')
    ] = None,
    matrix_free: Annotated[
        bool,
        typer.Option("--matrix-free", help="The NTK's largest eigenvalues and trace by products with vectors alone."),
    ] = False,
    seed: Annotated[
        int, typer.Option(help="Of everything random; the same seed gives the same numbers.")
    ] = DEFAULT.seed,
    seeds: Annotated[
        int, typer.Option(help="Random networks of activations, gradients and NTK; their scatter is the error.")
    ] = DEFAULT.seeds,
    repetitions: Annotated[int, typer.Option(help="Calls that are timed.")] = DEFAULT.repetitions,
    papers: Annotated[
        bool,
        typer.Option(
            "--all",
            help="The papers' tables: their models, or those named, in their forms and under their normalisers.",
        ),
    ] = False,
    output: Annotated[Path, typer.Option(help="Folder for JSON and CSV.")] = Path("results/reference"),
    json: Json = None,
    store: StorePath = DEFAULT_STORE,
    workers: Workers = 0,
    scheduler: Scheduler = None,
) -> None:
    """Measure full-size reference models: activations, gradients, NTK, memory and time, at initialisation."""
    _choose_platform(device)
    settings = Settings(
        models=command.words(model) or None,
        normalizers=command.words(normalizer) or None,
        form=form,
        image=image,
        batch=batch,
        classes=classes,
        what=command.words(what) or WHAT,
        data=data,
        device=device,
        precision=precision,
        memory=memory,
        matrix_free=matrix_free,
        seed=seed,
        seeds=seeds,
        repetitions=repetitions,
        papers=papers,
    )
    given = shlex.join(["python", "-m", "ntkcheck.reference", *sys.argv[1:]])
    with command.errors_in_one_line():
        experiment = prepare(settings)
        folder = command.claim_results(output, json)
        with command.opened(store, folder, lambda kept: _keep(stored(experiment, kept), given, folder)) as kept:
            with progress_bar(CONSOLE) as on_progress:
                result = run(experiment, kept, workers, scheduler, on_progress)
            verdicts = _judged(experiment, kept)
    tables = table.render(result), *([claims_table.render(verdicts)] if verdicts else [])
    paths = results.write(result, given, claims_document.document(verdicts), folder)
    command.show(paths, json, tables, result.by_name)
    if result.failures:
        raise typer.Exit(1)


def _choose_platform(device: str | None) -> None:
    """Keep JAX off the GPU where the CPU is asked for, here and in local workers, so that provenance names what computed.

    On a GPU leave free what is not needed yet, for the processes in which programs are run for their peak.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
        jax.config.update("jax_platforms", "cpu")


def _keep(result: Result, given: str, folder: Path) -> tuple[int, int]:
    """Write what was measured before an interruption; the number of cells, and of those that were asked for."""
    results.write(result, given, {}, folder)
    return len(result.records), len(result.experiment.cells)


def _judged(experiment: Experiment, store: Store) -> dict[str, claims.Verdict]:
    """Verdicts on the claims all of whose measurements such a run has made, from the store."""
    asked = set(experiment.settings.what) if experiment.settings.papers else set()
    ids = [id for id, what in CLAIMS.items() if asked >= what]
    if not ids:
        return {}
    return command.verdicts(claims.Evidence(store, prepare_regime(RegimeSettings()), measures=False), ids)


if __name__ == "__main__":
    app()
