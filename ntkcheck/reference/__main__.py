"""The command `python -m ntkcheck.reference`: arguments, devices and output only."""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import jax
import typer
from rich.console import Console
from rich.markup import escape

from ntkcheck import claims, models
from ntkcheck.claims import document as claims_document
from ntkcheck.claims import table as claims_table
from ntkcheck.output import claim_file, claim_folder, end_interrupted, results_console
from ntkcheck.reference import folder as results
from ntkcheck.reference import images, table
from ntkcheck.reference.case import PLATFORMS, PRECISIONS
from ntkcheck.reference.document import to_json
from ntkcheck.reference.experiment import Experiment, prepare
from ntkcheck.reference.run import Result, run, stored
from ntkcheck.reference.settings import WHAT, Settings
from ntkcheck.regime import Settings as RegimeSettings
from ntkcheck.regime import prepare as prepare_regime
from ntkcheck.store import Store, StoreError
from ntkcheck.store.option import DEFAULT_STORE, StorePath
from ntkcheck.sweep import progress_bar

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
DEFAULT = Settings()
CLAIMS = {"MN-10": {"memory", "program"}}  # with the kinds of measurement that they rest on
CONSOLE = Console(stderr=True)  # progress and messages; standard output is for results


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
        typer.Option(help=f"Images: {', '.join(images.NAMES)}, an array file, or a folder with CIFAR-10 or MNIST."),
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
    json: Annotated[
        str | None,
        typer.Option(help="Also write the JSON to this file; - prints it to standard output in place of the tables."),
    ] = None,
    store: StorePath = DEFAULT_STORE,
    workers: Annotated[int, typer.Option(help="Local processes to measure in; 0 measures in this one.")] = 0,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler whose workers measure instead.")
    ] = None,
) -> None:
    """Measure full-size reference models: activations, gradients, NTK, memory and time, at initialisation."""
    _choose_platform(device)
    settings = Settings(
        models=_names(model),
        normalizers=_names(normalizer),
        form=form,
        image=image,
        batch=batch,
        classes=classes,
        what=_names(what) or WHAT,
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
    command = shlex.join(["python", "-m", "ntkcheck.reference", *sys.argv[1:]])
    try:
        experiment = prepare(settings)
        folder = claim_folder(output)
        if json not in (None, "-"):
            claim_file(Path(json))
        with Store(store) as opened:
            try:
                with progress_bar(CONSOLE) as on_progress:
                    result = run(experiment, opened, workers, scheduler, on_progress)
                verdicts = _judged(experiment, opened)
            except KeyboardInterrupt:
                _interrupted(stored(experiment, opened), command, folder)
    except (ValueError, FileNotFoundError, StoreError) as error:
        CONSOLE.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from None
    _show(result, verdicts, command, folder, json)
    if result.failures:
        raise typer.Exit(1)


def _choose_platform(device: str | None) -> None:
    """Keep JAX off the GPU where the CPU is asked for, here and in local workers, so that provenance names what computed."""
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
        jax.config.update("jax_platforms", "cpu")


def _names(given: list[str] | None) -> tuple[str, ...] | None:
    return tuple(name.strip() for item in given for name in item.split(",")) if given else None


def _interrupted(result: Result, command: str, folder: Path) -> NoReturn:
    """Leave what was measured where a reader looks for it, and say so."""
    results.write(result, command, {}, folder)
    end_interrupted(CONSOLE, len(result.records), len(result.experiment.cells), folder)


def _judged(experiment: Experiment, store: Store) -> dict[str, claims.Verdict]:
    """Verdicts on the claims all of whose measurements such a run has made, from the store."""
    asked = set(experiment.settings.what) if experiment.settings.papers else set()
    ledger = {id: claim for id, claim in claims.load().items() if id in CLAIMS and asked >= CLAIMS[id]}
    if not ledger:
        return {}
    evidence = claims.Evidence(store, prepare_regime(RegimeSettings()), measures=False)
    found = claims.check(ledger, evidence)
    return claims.verdicts(ledger, {id: checked.answers for id, checked in found.items()})


def _show(result: Result, verdicts: dict[str, claims.Verdict], command: str, folder: Path, json: str | None) -> None:
    judged = claims_document.document(verdicts)
    paths = results.write(result, command, judged, folder)
    text = to_json(result, command, judged)
    if json == "-":
        sys.stdout.write(text)
    else:
        results_console().print(table.render(result), *([claims_table.render(verdicts)] if verdicts else []))
    if json not in (None, "-"):
        Path(json).write_text(text, encoding="utf-8")
    for cell, reason in result.failures.items():
        CONSOLE.print(f"[red]failed[/red] {escape(cell)}: {escape(reason)}", soft_wrap=True)
    CONSOLE.print(f"results in {escape(str(folder))}: {', '.join(path.name for path in paths)}", soft_wrap=True)


if __name__ == "__main__":
    app()
