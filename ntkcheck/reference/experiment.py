"""The cells of a run: every measurement that is asked for, of models that can take it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from ntkcheck import models
from ntkcheck.empirical.memory import as_bytes
from ntkcheck.reference import (
    activations,
    gradients,
    images,
    matrix_free,
    ntk,
    papers,
    program,
    residuals,
    timing,
)
from ntkcheck.reference.case import Case, first_device, forward
from ntkcheck.reference.settings import DEFAULT_MODELS, DEFAULT_NORMALIZERS, WHAT, Settings, check
from ntkcheck.sweep import Measure

PAPERS_BATCH = {"memory": papers.PRINTED_BATCH, "program": papers.PRINTED_BATCH}
BATCH = 32
PAIRED = ("activations", "ntk")
NTK_CLASSES = 10  # the trace takes a pullback for each sample and logit
LARGE_IMAGE = 64  # from which on images are the ImageNet form's, unless said otherwise


class Cell(NamedTuple):
    """One measurement: of which model, of what kind, by which function at which parameters."""

    subject: str
    kind: str
    function: Measure
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Experiment:
    """A checked run.

    Attributes:
        settings: What was asked.
        device: Platform that it runs on.
        source: Where the images come from; None where no kind of measurement looks at images.
        cells: Every measurement.
    """

    settings: Settings
    device: str
    source: str | None
    cells: tuple[Cell, ...]


def prepare(settings: Settings) -> Experiment:
    """Check every option, load the data and list the cells; models are evaluated by shape.

    Raises:
        ValueError: For an option that cannot be met, naming the option, its value and what would do.
        FileNotFoundError: For data that do not exist.
    """
    check(settings)
    device = settings.device or jax.devices()[0].platform
    if settings.device is not None:
        first_device(settings.device)
    cells = tuple(cell for place in _places(settings) for cell in _cells(settings, device, *place))
    sources = [_images(settings, cell).source for cell in cells if "inputs" in cell.parameters]
    return Experiment(settings, device, sources[0] if sources else None, cells)


def _places(settings: Settings) -> Iterator[tuple[str, str, int, tuple[str, ...]]]:
    """Each model with its form, the side of its images, and its normalisers."""
    if settings.papers:
        yield from _of_papers(settings)
        return
    for model in settings.models or DEFAULT_MODELS:
        form = settings.form or _form(model, settings.image)
        yield model, form, settings.image or papers.SIDES[form], settings.normalizers or DEFAULT_NORMALIZERS


def _of_papers(settings: Settings) -> Iterator[tuple[str, str, int, tuple[str, ...]]]:
    table = papers.table()
    chosen = {
        (model, form): normalizers
        for (model, form), normalizers in table.items()
        if model in (settings.models or models.NAMES) and settings.form in (None, form)
    }
    if not chosen:
        known = dict.fromkeys(model for model, form in table if settings.form in (None, form))
        raise ValueError(
            f"`model` must be one of the papers' tables, which hold {', '.join(known)}, got {', '.join(settings.models or ())}; "
            "leave out `papers` (the option --all) for others."
        )
    for (model, form), normalizers in chosen.items():
        yield model, form, settings.image or papers.SIDES[form], settings.normalizers or normalizers


def _form(model: str, image: int | None) -> str:
    forms = models.ARCHITECTURES[model].forms
    if len(forms) == 1:
        return forms[0]
    return "imagenet" if image is not None and image >= LARGE_IMAGE else "cifar"


def _cells(settings: Settings, device: str, model: str, form: str, image: int, normalizers: tuple[str, ...]):
    for normalizer in normalizers:
        for what in WHAT:
            if what in settings.what:
                case = Case(
                    model,
                    normalizer,
                    form,
                    image,
                    settings.batch or PAPERS_BATCH.get(what, BATCH),
                    settings.classes or (NTK_CLASSES if what == "ntk" else papers.CLASSES[form]),
                )
                _check_case(case, what)
                yield from _of_kind(settings, device, what, case)


def _check_case(case: Case, what: str) -> None:
    """Raise ValueError unless the model takes such a batch, and the measurement."""
    model = case.shapes()
    smallest = model.network.smallest
    if case.image < smallest:
        other = ", or take the form cifar" if case.form == "imagenet" else ""
        raise ValueError(
            f"`image` must be at least {smallest} for {case.model} in its {case.form} form, got {case.image}; try "
            f"{papers.SIDES[case.form]}{other}."
        )
    if model.couples_batch and case.batch < 2:
        raise ValueError(
            f"`batch` must be at least 2 for {case.normalizer}, which takes statistics of the batch, got {case.batch}; try "
            f"{BATCH}, or the normalizer layer_norm or group_norm."
        )
    if what in PAIRED and case.batch < 2:
        raise ValueError(
            f"`batch` must be at least 2 for {what}, which compares images with each other, got {case.batch}; try {BATCH}."
        )
    try:
        jax.eval_shape(forward("highest"), model, case.images())
    except ValueError as error:
        raise ValueError(str(error).replace("`x` must hold images", "`image` must be the side of images")) from error


def _of_kind(settings: Settings, device: str, what: str, case: Case) -> Iterator[Cell]:
    asked = {"precision": settings.precision, "device": device}
    if what == "memory":
        yield Cell(case.label, what, residuals.measure, case._asdict())
    elif what == "program":
        yield Cell(case.label, what, program.measure, case._asdict() | asked)
    elif what == "time":
        yield Cell(case.label, what, timing.measure, case._asdict() | asked | {"repetitions": settings.repetitions})
    else:
        yield from _of_images(settings, asked, what, case)


def _of_images(settings: Settings, asked: dict[str, Any], what: str, case: Case) -> Iterator[Cell]:
    parameters = case._asdict() | asked | {"data": settings.data, "seed": settings.seed, "seeds": settings.seeds}
    batches = activations.POPULATION_BATCHES if what == "activations" else 1
    parameters["inputs"] = images.load(settings.data, batches * case.batch, case.image, settings.seed).digest
    if what == "ntk":
        yield from _of_ntk(settings, parameters, case)
    else:
        function = activations.measure if what == "activations" else gradients.measure
        yield Cell(case.label, what, function, parameters)


def _of_ntk(settings: Settings, parameters: dict[str, Any], case: Case) -> Iterator[Cell]:
    for logits in ntk.LOGITS:
        kind, asked = f"ntk, {logits} logit{'s' * (logits == 'all')}", parameters | {"logits": logits}
        if settings.matrix_free:
            del asked["seeds"]
            yield Cell(case.label, f"{kind}, matrix-free", matrix_free.measure, asked)
        else:
            yield Cell(case.label, kind, ntk.measure, asked | {"memory": as_bytes(settings.memory)})


def _images(settings: Settings, cell: Cell) -> images.Images:
    size = cell.parameters
    batches = activations.POPULATION_BATCHES if cell.kind == "activations" else 1
    return images.load(settings.data, batches * size["batch"], size["image"], settings.seed)
