"""What is asked of trainings, checked before anything is computed."""

import math
from dataclasses import dataclass
from typing import Any

from ntkcheck import models
from ntkcheck.errors import unknown_name
from ntkcheck.reference.case import PLATFORMS, PRECISIONS
from ntkcheck.training.cells import POPULATION
from ntkcheck.training.networks import NAMES, NORMALIZERS, SMALL
from ntkcheck.training.task import INPUTS


@dataclass(frozen=True)
class Settings:
    """The options of `python -m ntkcheck.training`, with its defaults.

    Attributes:
        models: Names of `networks.NAMES`.
        normalizers: Names of `networks.NORMALIZERS`.
        learning_rates: eta; each is a training of its own.
        epochs: Of each training, whole passes through full batches.
        steps: Of each training, in place of epochs.
        batch: Images of a batch.
        momentum: mu.
        weight_decay: lambda, of all parameters.
        drops: Fractions of the training after which the learning rate is multiplied by `drop_factor`.
        drop_factor: What it is multiplied by.
        warmup: Fraction of the training in which the learning rate grows linearly from 0.
        augment: Whether training images are shifted and flipped at random.
        scale_rate: Factor of the learning rate of the normalisers' scales; 1/100 for scaled_batch_norm and else 1, unless given.
        group_size: Channels per group of iter_norm and zca.
        data: Labelled images, as `task.load` takes them.
        inputs: One of `task.INPUTS`.
        form: "cifar" or "imagenet".
        image: Side of the images; 8 for the small network, else 32, or 224 in the ImageNet form, unless given.
        population: Training images, at most, for the statistics of the test; 0 leaves out the test.
        every: Steps between the points of the curves.
        seed: The first seed.
        seeds: How many; each is a training of its own.
        device: "cpu" or "gpu"; the one that JAX prefers unless given.
        precision: Of convolutions and matrix products, as `jax.default_matmul_precision` calls it.
    """

    models: tuple[str, ...] = (SMALL,)
    normalizers: tuple[str, ...] = ("batch_norm",)
    learning_rates: tuple[float, ...] = (0.1,)
    epochs: int | None = None
    steps: int | None = None
    batch: int = 64
    momentum: float = 0.9
    weight_decay: float = 0.0
    drops: tuple[float, ...] = ()
    drop_factor: float = 0.1
    warmup: float = 0.0
    augment: bool = False
    scale_rate: float | None = None
    group_size: int | None = None
    data: str = "digits"
    inputs: str = "standardized"
    form: str = "cifar"
    image: int | None = None
    population: int = POPULATION
    every: int = 1
    seed: int = 0
    seeds: int = 1
    device: str | None = None
    precision: str = "highest"


def check(settings: Settings) -> None:
    """Raise ValueError for an unknown name or a number that will not do, naming the option, its value and what would do."""
    _check_words(settings)
    if settings.epochs is not None and settings.steps is not None:
        raise ValueError(
            f"`epochs` must be left out where `steps` is given, got {settings.epochs} and {settings.steps}; give one."
        )
    least = {"epochs": 1, "steps": 1, "batch": 1, "image": 1, "population": 0, "every": 1, "seed": 0, "seeds": 1}
    for name, bound in least.items():
        _check_count(name, getattr(settings, name), bound)
    for name, values in {"learning_rate": settings.learning_rates, "drop_factor": (settings.drop_factor,)}.items():
        _check_numbers(name, values, "a finite number above 0", lambda value: math.isfinite(value) and value > 0, 0.1)
    scale_rates = () if settings.scale_rate is None else (settings.scale_rate,)
    for name, values in {"weight_decay": (settings.weight_decay,), "scale_rate": scale_rates}.items():
        _check_numbers(
            name, values, "a finite number, at least 0", lambda value: math.isfinite(value) and value >= 0, 0.01
        )
    shares = {"momentum": (settings.momentum,), "drops": settings.drops, "warmup": (settings.warmup,)}
    for name, values in shares.items():
        _check_numbers(name, values, "at least 0 and below 1", lambda value: 0 <= value < 1, 0.5)


def _check_words(settings: Settings) -> None:
    known = {
        "model": (settings.models, NAMES),
        "normalizer": (settings.normalizers, NORMALIZERS),
        "form": ((settings.form,), models.FORMS),
        "inputs": ((settings.inputs,), INPUTS),
        "precision": ((settings.precision,), PRECISIONS),
        "device": ((settings.device,) if settings.device else (), PLATFORMS),
    }
    for option, (words, names) in known.items():
        for word in words:
            if word not in names:
                raise unknown_name(option, word, names)
    for option, values in {**known, "learning_rate": (settings.learning_rates, (0.1,))}.items():
        if len(set(values[0])) < len(values[0]):
            listed = ", ".join(map(str, values[0]))
            raise ValueError(f"`{option}` must give every value once, got {listed}; drop what comes twice.")


def _check_count(name: str, value: Any, bound: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < bound):
        raise ValueError(f"`{name}` must be a whole number, at least {bound}, got {value}; try {max(bound, 2)}.")


def _check_numbers(name: str, values: tuple[float, ...], rule: str, holds: Any, remedy: float) -> None:
    for value in values:
        if not holds(value):
            raise ValueError(f"`{name}` must be {rule}, got {value}; try {remedy}.")
