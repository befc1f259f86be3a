"""The command `python -m ntkcheck.training`: arguments, devices and output only."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import jax
import typer

from ntkcheck import command
from ntkcheck.command import CONSOLE
from ntkcheck.output import replace_file
from ntkcheck.records import stored
from ntkcheck.reference.case import PLATFORMS, PRECISIONS
from ntkcheck.store import Record, Store
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
    given = shlex.join(["python", "-m", "ntkcheck.training", *sys.argv[1:]])
    with command.errors_in_one_line():
        settings = Settings(
            models=command.words(model) or DEFAULT.models,
            normalizers=command.words(normalizer) or DEFAULT.normalizers,
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
        experiment, folder = prepare(settings), command.claim_results(output, json)
        keeping = command.opened(store, folder, lambda kept: _keep(experiment, kept, given, folder))
        with keeping as kept, progress_bar(CONSOLE) as on_progress:
            records = sweep(
                list(experiment.cells), measure, kept, workers=workers, retry_failed=True, on_progress=on_progress
            )
    paths = _write(experiment, records, given, folder)
    command.show(paths, json, [document.render(experiment, records)], document.by_name(records))
    if any(record.failure for record in records):
        raise typer.Exit(1)


def _configure(device: str | None, checkpoints: Path | None) -> None:
    """Keep JAX off the GPU where the CPU is asked for, here and in local workers; and say where checkpoints go."""
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
        jax.config.update("jax_platforms", "cpu")
    if checkpoints is not None:
        os.environ[checkpoint.FOLDER] = str(checkpoints)


def _numbers(option: str, given: list[str] | None) -> tuple[float, ...]:
    try:
        return tuple(map(float, command.words(given)))
    except ValueError:
        text = ", ".join(given or ())
        raise ValueError(f"`{option}` must be numbers, got {text}; separate several by commas, as 0.1,0.01.") from None


def _keep(experiment: Experiment, store: Store, given: str, folder: Path) -> tuple[int, int]:
    """Write what was measured before an interruption; the number of trainings, and of those that were asked for."""
    records = list(stored(store, measure, dict(enumerate(experiment.cells))).values())
    _write(experiment, records, given, folder)
    return len(records), len(experiment.cells)


def _write(experiment: Experiment, records: Sequence[Record], given: str, folder: Path) -> list[Path]:
    texts = {"training.json": document.to_json(experiment, records, given)}
    if records:
        texts["training.csv"] = study_table(records, given)
    return [replace_file(folder / name, text) for name, text in texts.items()]


if __name__ == "__main__":
    app()
