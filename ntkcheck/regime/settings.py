"""What a regime run is asked to do, checked before anything is computed."""

import functools
import hashlib
import math
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
from jaxtyping import Array, Float

from ntkcheck import activations, data, normalizers
from ntkcheck.activations import Activation
from ntkcheck.network import Network, make_network
from ntkcheck.normalizers import Normalizer

DEFAULT_NORMALIZERS = ("none", "weight_mean", "batch_norm", "layer_norm", "iter_norm")
QUICK_NORMALIZERS = ("none", "weight_mean", "batch_norm")
PAPERS_WIDTH = (
    300  # of MimicNorm's networks; the limits are missed by about 2 / width, the claims' bounds are 2% and wider
)
LEAST_DEPTH = (
    16  # of networks that are evidence: growth per layer is settled, correlations under weight mean are within 0.01
)


@dataclass(frozen=True)
class Settings:
    """The options of `python -m ntkcheck.regime`, with its defaults.

    Attributes:
        data: `digits`, `gaussian`, a .npy or .npz file, or a folder with MNIST, CIFAR-10 or CIFAR-100 as published.
        normalizers: Names of `normalizers.NAMES`, path/to/file.py:function, or (from Python) functions at the top of a module.
        activation: A name that `activations.get` knows.
        depth: Hidden layers, at least 2: growth per layer compares layers.
        width: Neurons of every hidden layer, at least 2.
        batch_size: Samples that are normalised together.
        pairs: Disjoint input pairs whose correlation is followed, at least 2.
        seeds: Independent random networks per normaliser, at least 2: their scatter is the standard error.
        sigma_w: Weight standard deviation times sqrt(fan-in); the activation's critical value unless given.
        sigma_b: Bias standard deviation.
        group_size: Features per group of whitenings; the largest divisor of the width up to 16 unless given.
        iterations: Newton steps of iter_norm.
        samples: Neurons drawn per layer where infinite width needs sampling.
        seed: Of everything random.
    """

    data: str = "digits"
    normalizers: tuple[Any, ...] = DEFAULT_NORMALIZERS
    activation: str = "relu"
    depth: int = 50
    width: int = 300
    batch_size: int = 32
    pairs: int = 200
    seeds: int = 10
    sigma_w: float | None = None
    sigma_b: float = 0.0
    group_size: int | None = None
    iterations: int = 5
    samples: int = 3072
    seed: int = 0

    def quick(self) -> "Settings":
        """The same question with fewer networks, pairs and samples, and by default without the normalisers that take longest."""
        default = self.normalizers == DEFAULT_NORMALIZERS
        return replace(
            self,
            normalizers=QUICK_NORMALIZERS if default else self.normalizers,
            pairs=min(self.pairs, 48),
            seeds=min(self.seeds, 3),
            samples=min(self.samples, 512),
        )


@dataclass(frozen=True)
class Experiment:
    """A checked run: the networks by the normaliser's name, and the mini-batches.

    Attributes:
        settings: What was asked.
        networks: Network of each normaliser.
        batches: (batches, batch_size, features), standardised; pairs are the samples 2i and 2i + 1 of a batch.
        source: Where the data come from.
    """

    settings: Settings
    networks: dict[str, Network]
    batches: Float[np.ndarray, "batches batch features"]
    source: str

    @property
    def is_the_papers(self) -> bool:
        """Whether the networks are those that the claims speak of: ReLU, He's variance, no bias, wide and deep."""
        settings = self.settings
        he = settings.sigma_w is None or math.isclose(settings.sigma_w, 2**0.5)
        large = settings.width >= PAPERS_WIDTH and settings.depth >= LEAST_DEPTH
        return settings.activation == "relu" and settings.sigma_b == 0 and he and large

    @functools.cached_property
    def options(self) -> dict[str, Any]:
        """All options but the normalisers, and a digest of the inputs, which some options only name."""
        options = {name: value for name, value in asdict(self.settings).items() if name != "normalizers"}
        sigma_w = next(iter(self.networks.values())).sigma_w
        inputs = hashlib.sha256(np.ascontiguousarray(self.batches).tobytes()).hexdigest()[:16]
        return {**options, "sigma_w": sigma_w, "inputs": inputs}

    def cell(self, choice: Any, side: str) -> dict[str, Any]:
        """The parameters under which one normaliser is measured, in infinite or finite width; with a digest of its file, if any."""
        parameters = {**self.options, "normalizer": choice, "side": side}
        if isinstance(choice, str) and ":" in choice:
            source = Path(choice.rpartition(":")[0]).read_bytes()
            parameters["source"] = hashlib.sha256(source).hexdigest()[:16]
        return parameters

    def key(self, *names: str) -> Array:
        """A random key for the quantity of these names, whatever the order in which quantities are measured."""
        return jax.random.fold_in(jax.random.key(self.settings.seed), zlib.crc32("/".join(names).encode()))


def prepare(settings: Settings) -> Experiment:
    """Check every option, load the data and build the networks.

    Raises:
        ValueError: For an option that cannot be met, naming the option, its value and what would do.
        FileNotFoundError: For a data or normaliser file that does not exist.
    """
    _check_counts(settings)
    activation = activations.get(settings.activation)
    sigma_w = critical_sigma_w(activation) if settings.sigma_w is None else settings.sigma_w
    networks: dict[str, Network] = {}
    for choice in settings.normalizers:
        normalizer = _normalizer(choice, settings)
        _check_normalizer(normalizer, settings)
        if normalizer.name in networks:
            raise ValueError(
                f"`normalizer` must give every name once, got {normalizer.name!r} twice; rename or drop one."
            )
        networks[normalizer.name] = make_network(settings.depth, normalizer, activation, sigma_w, settings.sigma_b)
    if not networks:
        raise ValueError(f"`normalizer` must name at least one, got none; try {', '.join(DEFAULT_NORMALIZERS)}.")
    batches, source = _mini_batches(settings)
    return Experiment(settings, networks, batches, source)


def critical_sigma_w(activation: Activation) -> float:
    """The weight scale at which gradients keep their size without normaliser and biases: chi_1 = sigma_w^2 E[phi'^2] = 1.

    For positively homogeneous activations at any length of the signal (He's value 2^(1/2) for ReLU); for the others at small
    signals, where E[phi'^2] = phi'(0)^2.
    """
    if activation.slope is not None:
        return math.sqrt(2 / (1 + activation.slope**2))
    return 1 / abs(float(jax.grad(activation.phi)(0.0)))


def _check_counts(settings: Settings) -> None:
    least = {"depth": 2, "width": 2, "batch_size": 2, "pairs": 2, "seeds": 2, "iterations": 1, "samples": 64}
    reason = {
        "depth": "growth per layer compares layers",
        "width": "a layer of one neuron has no correlation but +-1",
        "batch_size": "pairs are taken within a batch",
        "pairs": "one pair has no spread",
        "seeds": "the scatter over random networks is the standard error",
        "iterations": "Newton's iteration starts at the identity",
        "samples": "fewer draws have no usable standard error",
    }
    for name, bound in least.items():
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < bound:
            raise ValueError(
                f"`{name}` must be a whole number, at least {bound} ({reason[name]}), got {value}; try {bound} or more."
            )
    if not 0 <= settings.seed < 2**63:
        raise ValueError(f"`seed` must be a whole number from 0 to 2 ** 63 - 1, got {settings.seed}; try 0.")


def _normalizer(choice: Any, settings: Settings) -> Normalizer:
    if isinstance(choice, str) and ":" in choice:
        return normalizers.from_file(choice, settings.batch_size, settings.width)
    if callable(choice):
        return normalizers.from_function(cast(normalizers.Function, choice), settings.batch_size, settings.width)
    if choice in normalizers.WHITENINGS:
        group_size = _default_group(settings.width) if settings.group_size is None else settings.group_size
        return normalizers.get(choice, group_size, settings.iterations)
    return normalizers.get(choice)


def _default_group(width: int) -> int:
    return max(size for size in range(1, 17) if width % size == 0)


def _check_normalizer(normalizer: Normalizer, settings: Settings) -> None:
    normalizer.check(settings.batch_size, settings.width)
    if normalizer.name == "batch_norm" and settings.batch_size < 4:
        raise ValueError(
            f"`batch_size` must be at least 4 for batch_norm (gradients and NTK of smaller batches are infinite), "
            f"got {settings.batch_size}; try 32."
        )


def _mini_batches(settings: Settings) -> tuple[Float[np.ndarray, "batches batch features"], str]:
    count = math.ceil(settings.pairs / (settings.batch_size // 2))
    needed = count * settings.batch_size
    generated = {"samples": needed} if settings.data == "gaussian" else {}
    dataset = _load(settings, **generated)
    x = data.standardize(dataset.x)
    if len(x) < needed:
        available = len(x) // settings.batch_size * (settings.batch_size // 2)
        remedy = f"try `pairs` {available}" if available >= 2 else "try a smaller `batch_size` or more data"
        raise ValueError(
            f"`pairs` must fit the data: {settings.pairs} pairs in batches of {settings.batch_size} need {needed} samples, "
            f"{dataset.name} has {len(x)}; {remedy}."
        )
    constant = np.flatnonzero(np.ptp(x, axis=1) == 0)
    if constant.size:
        raise ValueError(
            f"`data` must vary within every sample (weight mean and layer_norm subtract its mean), got sample {constant[0]} of "
            f"{dataset.name} with {x.shape[1]} equal features; remove it."
        )
    chosen = np.random.default_rng(settings.seed).permutation(len(x))[:needed]
    return x[chosen].reshape(count, settings.batch_size, -1), dataset.source


def _load(settings: Settings, **generated: int) -> data.Dataset:
    """The data set; what `data.load` says of its `spec` is said of the option `data`."""
    try:
        return data.load(settings.data, seed=settings.seed, **generated)
    except FileNotFoundError as error:
        raise FileNotFoundError(str(error).replace("`spec`", "`data`")) from error
    except (ValueError, OSError) as error:
        raise ValueError(str(error).replace("`spec`", "`data`")) from error
