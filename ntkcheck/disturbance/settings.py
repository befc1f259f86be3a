"""What a disturbance run is asked to do, checked before anything is measured."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ntkcheck import data, normalizers
from ntkcheck.data import Dataset
from ntkcheck.disturbance.checks import check_options
from ntkcheck.disturbance.normalizer import FACTORISED, GROUPED, ITERATED, file_digest, make, name_of
from ntkcheck.normalizers import Normalizer
from ntkcheck.snd.arguments import checked_population

DEFAULT_NORMALIZERS = ("batch_norm", "zca", "pca", "cholesky", "iter_norm", "layer_norm")
DEFAULT_GROUP_SIZES = (8, 32)  # at most, where the number of features allows no more
QUICK_POPULATIONS = ("gaussian", "digits_layer")
QUICK_BATCH_SIZES = (16, 64, 256)


@dataclass(frozen=True)
class Settings:
    """The options of `python -m ntkcheck.snd`, with its defaults.

    Attributes:
        populations: Names of `data.POPULATIONS`, .npy or .npz files, or folders of images.
        normalizers: Names of `NAMES`, path/to/file.py:function, or (from Python) functions at the top of a module.
        batch_sizes: m, each at least 2.
        features: d of the named populations; stored data bring their own.
        group_sizes: g, features per group of whitenings and GroupNorm; 8 and 32 unless these or `groups` are given.
        groups: The same as numbers of groups, d / g.
        iterations: Newton steps of IterNorm: the first at every batch size, the others at the middle one alone.
        anchors: Samples x, at least; all of them are, up to 2000, in the shared design.
        draws: s, batches of an anchor, at least 2.
        design: "shared" or "anchored", the paper's.
        replacement: Whether the samples of a batch are drawn independently.
        samples: Of a population, at most; the digits are 1797, and populations of one size are compared, by one program.
        seed: Of everything random.
    """

    populations: tuple[str, ...] = tuple(data.POPULATIONS)
    normalizers: tuple[Any, ...] = DEFAULT_NORMALIZERS
    batch_sizes: tuple[int, ...] = (16, 64, 256, 1024)
    features: tuple[int, ...] = (32,)
    group_sizes: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    iterations: tuple[int, ...] = (5, 3, 7)
    anchors: int = 200
    draws: int = 30
    design: str = "shared"
    replacement: bool = True
    samples: int = 1797
    seed: int = 0

    def quick(self) -> "Settings":
        """The same question on two populations, at smaller batches and with fewer draws, unless these were chosen."""
        default = Settings()
        return replace(
            self,
            populations=QUICK_POPULATIONS if self.populations == default.populations else self.populations,
            batch_sizes=QUICK_BATCH_SIZES if self.batch_sizes == default.batch_sizes else self.batch_sizes,
            iterations=(5,) if self.iterations == default.iterations else self.iterations,
            draws=min(self.draws, 12),
        )

    @property
    def middle_batch_size(self) -> int:
        """Where IterNorm's other numbers of steps are measured, and conditioning is compared: the upper median."""
        return sorted(self.batch_sizes)[len(self.batch_sizes) // 2]


class Line(NamedTuple):
    """A normaliser on a population, over batch sizes: a line of the figure, and a row of the table."""

    population: str
    features: int
    normalizer: str
    group_size: int | None
    iterations: int | None

    @property
    def groups(self) -> int | None:
        """How many groups there are, d / g."""
        return self.features // self.group_size if self.group_size else None


class Cell(NamedTuple):
    """One point of a line, and what the normaliser was chosen as."""

    line: Line
    batch_size: int
    choice: Any


@dataclass(frozen=True)
class Experiment:
    """A checked run.

    Attributes:
        settings: What was asked.
        populations: Samples, by what the population was chosen as and the number of features.
        cells: What is measured.
        left_out: What cannot be, in words; at other batch sizes or numbers of features the same normalisers can.
    """

    settings: Settings
    populations: dict[tuple[str, int], Dataset]
    cells: tuple[Cell, ...]
    left_out: tuple[str, ...]

    def parameters(self, cell: Cell) -> dict[str, Any]:
        """The parameters under which a cell is measured, with digests of the samples and of the normaliser's file, if any."""
        line, settings = cell.line, asdict(self.settings)
        population = self.populations[line.population, line.features]
        parameters = {
            "population": line.population,
            "inputs": digest(population.x),
            "normalizer": cell.choice,
            "batch_size": cell.batch_size,
            "features": line.features,
            "group_size": line.group_size,
            "iterations": line.iterations,
            **{name: settings[name] for name in ("anchors", "draws", "design", "replacement", "samples", "seed")},
        }
        return parameters if (source := file_digest(cell.choice)) is None else {**parameters, "source": source}


def digest(x: np.ndarray) -> str:
    """What tells samples from others."""
    return hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()[:16]


def prepare(settings: Settings) -> Experiment:
    """Check every option, make the populations and lay out the cells.

    Raises:
        ValueError: For an option that cannot be met, naming the option, its value and what would do.
        FileNotFoundError: For a data or normaliser file that does not exist.
    """
    check_options(settings)
    populations = dict(_populations(settings))
    if any(choice in GROUPED for choice in settings.normalizers):
        _check_groups_divide(settings, sorted({d for _, d in populations}))
    cells: list[Cell] = []
    left_out: dict[str, None] = {}
    for choice in settings.normalizers:
        wanted = [cell for spec, d in populations for cell in _cells(settings, spec, d, choice)]
        refusals = {cell: refusal for cell in wanted if (refusal := _refusal(cell))}
        if len(refusals) == len(wanted):
            raise ValueError(next(iter(refusals.values())))
        left_out |= dict.fromkeys(refusals.values())
        cells += [cell for cell in wanted if cell not in refusals]
    for cell in cells:
        _check_cell(cell, populations[cell.line.population, cell.line.features])
    return Experiment(settings, populations, tuple(_ordered(cells, list(populations))), tuple(left_out))


def _populations(settings: Settings) -> Iterator[tuple[tuple[str, int], Dataset]]:
    """Named populations at every number of features, the user's at their own."""
    for spec in settings.populations:
        for d in settings.features if spec in data.POPULATIONS else settings.features[:1]:
            found = data.population(spec, settings.samples, d, settings.seed)
            yield (spec, found.x.shape[1]), found


def _cells(settings: Settings, spec: str, d: int, choice: Any) -> Iterator[Cell]:
    for g in _group_sizes(settings, d) if choice in GROUPED else (None,):
        for place, steps in enumerate(settings.iterations if choice in ITERATED else (None,)):
            for m in settings.batch_sizes if place == 0 else (settings.middle_batch_size,):
                yield Cell(Line(spec, d, name_of(choice), g, steps), m, choice)


def _group_sizes(settings: Settings, d: int) -> list[int]:
    """Those given by size and those given by count that divide d; the largest divisors of d up to 8 and 32 where none is given."""
    sizes, counts = settings.group_sizes, settings.groups
    if not sizes and not counts:
        sizes = tuple(max(g for g in range(1, most + 1) if d % g == 0) for most in DEFAULT_GROUP_SIZES)
    return list(dict.fromkeys([g for g in sizes if d % g == 0] + [d // count for count in counts if d % count == 0]))


def _ordered(cells: list[Cell], populations: list[tuple[str, int]]) -> list[Cell]:
    """Population by population, so that programs are compiled with the first and run with the others.

    Normalisers with factorisations, of which one at a time is measured, alternate with the others.
    """
    seen: Counter[tuple[Any, ...]] = Counter()

    def place(cell: Cell) -> tuple[Any, ...]:
        of_kind = (
            populations.index((cell.line.population, cell.line.features)),
            cell.batch_size,
            cell.choice in FACTORISED,
        )
        seen[of_kind] += 1
        return (*of_kind[:2], seen[of_kind], of_kind[2])

    return sorted(cells, key=place)


def _check_groups_divide(settings: Settings, features: list[int]) -> None:
    """Every size, and every count, has to divide one of the numbers of features."""
    for option, values in (("group_size", settings.group_sizes), ("groups", settings.groups)):
        for value in values:
            if all(d % value for d in features):
                divisors = sorted(range(1, features[0] + 1), key=lambda g: (features[0] % g > 0, abs(g - value)))[:2]
                raise ValueError(
                    f"`{option}` must divide the number of features, got {value} for {' and '.join(map(str, features))} features; "
                    f"try {' or '.join(map(str, sorted(divisors)))}."
                )


def _refusal(cell: Cell) -> str | None:
    """Why a combination cannot be, where others of the same normaliser may."""
    name, g, m = cell.line.normalizer, cell.line.group_size, cell.batch_size
    if cell.choice in FACTORISED and g is not None and m <= g:
        return (
            f"`{name}` needs more samples in a batch than features in a group, got a `batch_size` of {m} for a `group_size` of "
            f"{g}; raise the one or lower the other."
        )
    return None


def _check_cell(cell: Cell, population: Dataset) -> None:
    line = cell.line
    kind = make(cell.choice, cell.batch_size, line.features, line.group_size, line.iterations)
    try:
        checked_population(
            population.x, cell.batch_size, kind if isinstance(kind, Normalizer) else normalizers.get("batch_norm")
        )
    except ValueError as error:
        raise ValueError(f"{line.population}: {error}") from error
