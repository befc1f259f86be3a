"""The command `python -m ntkcheck.training`: arguments, devices and output only."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import jax
import typer
from rich.console import Console
from rich.markup import escape

from ntkcheck.output import claim_file, claim_folder, end_interrupted, replace_file, results_console
from ntkcheck.reference.case import PLATFORMS, PRECISIONS
from ntkcheck.store import Record, Store, StoreError, key_of, reference
from ntkcheck.store.option import DEFAULT_STORE, StorePath
from ntkcheck.sweep import progress_bar
from ntkcheck.sweep import run as sweep
from ntkcheck.table import study_table
from ntkcheck.training import checkpoint, document
from ntkcheck.training.experiment import EPOCHS, Experiment, prepare
from ntkcheck.training.networks import NAMES, NORMALIZERS
from ntkcheck.training.outcome import measure
from ntkcheck.training.settings import Settings
from ntkcheck.training.task import INPUTS

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
DEFAULT = Settings()
CONSOLE = Console(stderr=True)  # progress and messages; standard output is for results


@app.command()
def main(
    model: Annotated[
        list[str] | None,
        typer.Option(help=f"Repeat for several, or separate by commas: {', '.join(NAMES)}. Default: cnn3."),
    ] = None,
    normalizer: Annotated[
        list[str] | None,
        typer.Option(help=f"The same: {', '.join(NORMALIZERS)}. Default: batch_norm."),
    ] = None,
    learning_rate: Annotated[list[str] | None, typer.Option(help="The same: numbers. Default: 0.1.")] = None,
    epochs: Annotated[int | None, typer.Option(help=f"Of each training. Default: {EPOCHS}.")] = None,
    steps: Annotated[int | None, typer.Option(help="Of each training, in place of epochs.")] = None,
    batch: Annotated[int, typer.Option(help="Images of a batch.")] = DEFAULT.batch,
    momentum: Annotated[float, typer.Option(help="Of stochastic gradient descent.")] = DEFAULT.momentum,
    weight_decay: Annotated[float, typer.Option(help="Of all parameters.")] = DEFAULT.weight_decay,
    drops: Annotated[
        list[str] | None, typer.Option(help='Fractions of the training where the learning rate drops, "0.5,0.75".')
    ] = None,
    drop_factor: Annotated[float, typer.Option(help="What it is multiplied by there.")] = DEFAULT.drop_factor,
    warmup: Annotated[float, typer.Option(help="Fraction of the training in which it grows from 0.")] = DEFAULT.warmup,
    augment: Annotated[bool, typer.Option("--augment", help="Shift and flip training images at random.")] = False,
    scale_rate: Annotated[
        float | None,
        typer.Option(help="Factor of the learning rate of scales. Default: 0.01 for scaled_batch_norm, else 1."),
    ] = None,
    group_size: Annotated[int | None, typer.Option(help="Channels per group of iter_norm and zca.")] = None,
    data: Annotated[
        str,
        typer.Option(help="digits, a folder with MNIST, CIFAR-10 or CIFAR-100, or a .npz file with x and y."),
    ] = DEFAULT.data,
    inputs: Annotated[str, typer.Option(help=f"{', '.join(INPUTS)}: a BatchNorm on raw images.")] = DEFAULT.inputs,
    form: Annotated[str, typer.Option(help="cifar or imagenet, whose first layers differ.")] = DEFAULT.form,
    image: Annotated[int | None, typer.Option(help="Side of the images. Default: 8 for cnn3, else 32 or 224.")] = None,
    population: Annotated[
        int, typer.Option(help="Training images, at most, for the statistics of the test; 0: no test.")
    ] = DEFAULT.population,
    every: Annotated[int, typer.Option(help="Steps between the points of the curves.")] = DEFAULT.every,
    seed: Annotated[int, typer.Option(help="The first seed; the same seed gives the same numbers.")] = DEFAULT.seed,
    seeds: Annotated[int, typer.Option(help="Trainings of each network; their scatter is the error.")] = DEFAULT.seeds,
    device: Annotated[
        str | None, typer.Option(help=f"{' or '.join(PLATFORMS)}. Default: what JAX prefers. An error if it is absent.")
    ] = None,
    precision: Annotated[
        str, typer.Option(help=f"Of convolutions and products: {', '.join(PRECISIONS)} (the device's own).")
    ] = DEFAULT.precision,
    checkpoints: Annotated[
        Path | None,
        typer.Option(help=f"Folder for checkpoints of long trainings. Default: {checkpoint.DEFAULT_FOLDER}."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for JSON and CSV.")] = Path("results/training"),
    json: Annotated[
        str | None,
        typer.Option(help="Also write the JSON to this file; - prints it to standard output in place of the table."),
    ] = None,
    store: StorePath = DEFAULT_STORE,
    workers: Annotated[int, typer.Option(help="Local processes to train in; 0 trains in this one.")] = 0,
) -> None:
    """Train networks with any normaliser: learning curves, test accuracy, and how far parameters move."""
    _configure(device, checkpoints)
    command = shlex.join(["python", "-m", "ntkcheck.training", *sys.argv[1:]])
    try:
        settings = Settings(
            models=_names(model) or DEFAULT.models,
            normalizers=_names(normalizer) or DEFAULT.normalizers,
            learning_rates=_numbers("learning_rate", learning_rate) or DEFAULT.learning_rates,
            epochs=epochs,
            steps=steps,
            batch=batch,
            momentum=momentum,
            weight_decay=weight_decay,
            drops=_numbers("drops", drops),
            drop_factor=drop_factor,
            warmup=warmup,
            augment=augment,
            scale_rate=scale_rate,
            group_size=group_size,
            data=data,
            inputs=inputs,
            form=form,
            image=image,
            population=population,
            every=every,
            seed=seed,
            seeds=seeds,
            device=device,
            precision=precision,
        )
        experiment, folder = prepare(settings), claim_folder(output)
        if json not in (None, "-"):
            claim_file(Path(json))
        records = _run(experiment, store, workers, command, folder)
    except (ValueError, FileNotFoundError, StoreError) as error:
        CONSOLE.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from None
    _show(experiment, records, command, folder, json)


def _configure(device: str | None, checkpoints: Path | None) -> None:
    """Keep JAX off the GPU where the CPU is asked for, here and in local workers; and say where checkpoints go."""
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
        jax.config.update("jax_platforms", "cpu")
    if checkpoints is not None:
        os.environ[checkpoint.FOLDER] = str(checkpoints)


def _names(given: list[str] | None) -> tuple[str, ...]:
    return tuple(name.strip() for item in given or () for name in item.split(","))


def _numbers(option: str, given: list[str] | None) -> tuple[float, ...]:
    try:
        return tuple(map(float, _names(given)))
    except ValueError:
        text = ", ".join(given or ())
        raise ValueError(f"`{option}` must be numbers, got {text}; separate several by commas, as 0.1,0.01.") from None


def _run(experiment: Experiment, path: Path, workers: int, command: str, folder: Path) -> list[Record]:
    """Train what the store does not have; an interruption loses the trainings in progress, but for their checkpoints."""
    with Store(path) as store:
        try:
            with progress_bar(CONSOLE) as on_progress:
                return sweep(
                    list(experiment.cells), measure, store, workers=workers, retry_failed=True, on_progress=on_progress
                )
        except KeyboardInterrupt:
            keys = [key_of(reference(measure), cell) for cell in experiment.cells]
            known = [record for key in keys if (record := store.find(key))]
            _write(experiment, known, command, folder)
            end_interrupted(CONSOLE, len(known), len(keys), folder)


def _write(experiment: Experiment, records: Sequence[Record], command: str, folder: Path) -> list[Path]:
    texts = {"training.json": document.to_json(experiment, records, command)}
    if records:
        texts["training.csv"] = study_table(records, command)
    return [replace_file(folder / name, text) for name, text in texts.items()]


def _show(experiment: Experiment, records: Sequence[Record], command: str, folder: Path, json: str | None) -> None:
    paths = _write(experiment, records, command, folder)
    text = paths[0].read_text(encoding="utf-8")
    if json == "-":
        sys.stdout.write(text)
    else:
        results_console().print(document.render(experiment, records))
    if json not in (None, "-"):
        Path(json).write_text(text, encoding="utf-8")
    failures = document.failures(records)
    for training, reason in failures.items():
        CONSOLE.print(f"[red]failed[/red] {escape(training)}: {escape(reason)}", soft_wrap=True)
    CONSOLE.print(f"results in {escape(str(folder))}: {', '.join(path.name for path in paths)}", soft_wrap=True)
    if failures:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
