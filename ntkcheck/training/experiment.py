"""The cells of a run: every training that is asked for, of networks that can take the images."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ntkcheck.reference.case import first_device
from ntkcheck.training import task
from ntkcheck.training.cells import cell, default_side
from ntkcheck.training.networks import forward, make
from ntkcheck.training.recipe import Recipe
from ntkcheck.training.settings import Settings, check
from ntkcheck.training.task import Task

EPOCHS = 15


@dataclass(frozen=True)
class Experiment:
    """A checked run.

    Attributes:
        settings: What was asked.
        device: Platform that it runs on.
        source: Where the images come from.
        cells: Parameters of every training.
    """

    settings: Settings
    device: str
    source: str
    cells: tuple[dict[str, Any], ...]


def prepare(settings: Settings) -> Experiment:
    """Check every option, load the data and list the trainings; networks are evaluated by shape.

    Raises:
        ValueError: For an option that cannot be met, naming the option, its value and what would do.
        FileNotFoundError: For data that do not exist.
    """
    check(settings)
    device = settings.device or jax.devices()[0].platform
    if settings.device is not None:
        first_device(settings.device)
    cells: list[dict[str, Any]] = []
    source = ""
    for model in settings.models:
        data = task.load(settings.data, settings.image or default_side(model, settings.form), settings.inputs)
        source = data.source
        for normalizer in settings.normalizers:
            _check_network(settings, data, model, normalizer)
            cells += _cells(settings, data, device, model, normalizer)
    return Experiment(settings, device, source, tuple(cells))


def _cells(settings: Settings, data: Task, device: str, model: str, normalizer: str) -> list[dict[str, Any]]:
    return [
        cell(
            model,
            normalizer,
            _recipe(settings, data, rate),
            settings.seed + i,
            data=settings.data,
            image=settings.image,
            form=settings.form,
            inputs=settings.inputs,
            group_size=settings.group_size,
            scale_rate=settings.scale_rate,
            population=settings.population,
            every=settings.every,
            precision=settings.precision,
            device=device,
        )
        for rate in settings.learning_rates
        for i in range(settings.seeds)
    ]


def _recipe(settings: Settings, data: Task, learning_rate: float) -> Recipe:
    if settings.batch > len(data.train):
        raise ValueError(
            f"`batch` must be at most the {len(data.train)} training images of {data.source}, got {settings.batch}; try 64."
        )
    return Recipe(
        learning_rate,
        settings.steps or (settings.epochs or EPOCHS) * (len(data.train) // settings.batch),
        settings.batch,
        settings.momentum,
        settings.weight_decay,
        settings.drops,
        settings.drop_factor,
        settings.warmup,
        settings.augment,
    )


def _check_network(settings: Settings, data: Task, model: str, normalizer: str) -> None:
    """Raise ValueError unless there is such a network, and it takes such a batch."""

    def logits(key: jax.Array, x: jax.Array) -> jax.Array:
        network = make(
            model,
            normalizer,
            data.classes,
            settings.form,
            key=key,
            inputs=settings.inputs,
            group_size=settings.group_size,
        )
        return forward(settings.precision)(network, x)[0]

    images = jax.ShapeDtypeStruct((settings.batch, *data.train.shape[1:]), jnp.float32)
    try:
        jax.eval_shape(logits, jax.random.key(0), images)
    except ValueError as error:
        text = str(error).replace("`x` must hold at least 2 samples", "`batch` must be at least 2")
        raise ValueError(text.replace("`x` must hold images", "`image` must be the side of images")) from error
