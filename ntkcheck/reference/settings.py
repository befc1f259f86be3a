"""What is asked of the reference models, checked before anything is computed."""

from dataclasses import dataclass

from ntkcheck import models
from ntkcheck.empirical.memory import as_bytes
from ntkcheck.errors import unknown_name
from ntkcheck.reference.case import PLATFORMS, PRECISIONS

WHAT = ("activations", "gradients", "ntk", "memory", "program", "time")
DEFAULT_MODELS = ("resnet18",)
DEFAULT_NORMALIZERS = ("batch_norm", "mimic_norm")


@dataclass(frozen=True)
class Settings:
    """The options of `python -m ntkcheck.reference`, with its defaults.

    Attributes:
        models: Names of `models.NAMES`; ResNet-18, or with `papers` all, unless given.
        normalizers: Names of `models.NORMALIZERS`; BatchNorm and MimicNorm, or with `papers` those compared there, unless given.
        form: "cifar" or "imagenet"; follows from `image`, or with `papers` is both, unless given.
        image: Side of the images; that of the form unless given.
        batch: Images of a batch; 256 for the kinds `memory` and `program`, as printed, else 32, unless given.
        classes: Number of logits; 10 for the NTK, else the 100 of CIFAR-100 or the 1000 of ImageNet, unless given.
        what: Kinds of measurement, of `WHAT`.
        data: Images, as `images.load` takes them.
        device: "cpu" or "gpu"; the one that JAX prefers unless given.
        precision: Of convolutions and matrix products, as `jax.default_matmul_precision` calls it.
        memory: What the NTK's program may take, as "4GB"; no limit unless given.
        matrix_free: Whether the NTK's largest eigenvalues and trace are measured by products with vectors, not the kernel.
        seed: Of everything random.
        seeds: Random networks of activations, gradients and NTK, at least 2: their scatter is the standard error.
        repetitions: Calls that are timed, at least 2.
        papers: Whether models are taken in the forms and under the normalisers of `papers.table`.
    """

    models: tuple[str, ...] | None = None
    normalizers: tuple[str, ...] | None = None
    form: str | None = None
    image: int | None = None
    batch: int | None = None
    classes: int | None = None
    what: tuple[str, ...] = WHAT
    data: str = "patches"
    device: str | None = None
    precision: str = "highest"
    memory: str | None = None
    matrix_free: bool = False
    seed: int = 0
    seeds: int = 4
    repetitions: int = 10
    papers: bool = False


def check(settings: Settings) -> None:
    """Raise ValueError for an unknown name or a number that will not do, naming the option, its value and what would do."""
    _check_words(settings)
    _check_counts(settings)


def _check_words(settings: Settings) -> None:
    known = {
        "model": (DEFAULT_MODELS if settings.models is None else settings.models, models.NAMES),
        "normalizer": (settings.normalizers or (), models.NORMALIZERS),
        "what": (settings.what, WHAT),
        "form": ((settings.form,) if settings.form else (), models.FORMS),
        "precision": ((settings.precision,), PRECISIONS),
        "device": ((settings.device,) if settings.device else (), PLATFORMS),
    }
    for option, (words, names) in known.items():
        for word in words:
            if word not in names:
                raise unknown_name(option, word, names)
        if len(set(words)) < len(words):
            raise ValueError(f"`{option}` must give every name once, got {', '.join(words)}; drop what comes twice.")
    for option in ("model", "what"):
        if not known[option][0]:
            raise ValueError(f"`{option}` must name at least one, got none; try {known[option][1][0]}.")
    as_bytes(settings.memory)


def _check_counts(settings: Settings) -> None:
    least = {"image": 1, "batch": 1, "classes": 2, "seeds": 2, "repetitions": 2, "seed": 0}
    for name, bound in least.items():
        value = getattr(settings, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < bound):
            why = " (their scatter is the standard error)" if name in ("seeds", "repetitions") else ""
            raise ValueError(
                f"`{name}` must be a whole number, at least {bound}{why}, got {value}; try {max(bound, 2)}."
            )
