"""The checks that train convolutional networks: from a run's evidence to the estimates that the tests name."""

from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ntkcheck.claims import full_size, last_layer
from ntkcheck.claims.evidence import Answers, Evidence, exact
from ntkcheck.measurement import Series, summarize
from ntkcheck.models import Model
from ntkcheck.reference.case import cross_entropy
from ntkcheck.stats import Estimate
from ntkcheck.store import Record
from ntkcheck.training import published, task
from ntkcheck.training.networks import LAST, SMALL, make
from ntkcheck.training.outcome import measure

Records = list[Record | None]
FACTORS = (1.0, 10.0, 100.0)
THREE_QUARTERS = 150  # of the 200 steps
POINTS = 100.0  # percentage points of a share of 1


def mn_9(evidence: Evidence) -> Answers:
    """What the last BatchNorm does to the gradient, to the NTK's spectrum, and to trainings at full size."""

    def records(model: str, normalizer: str, rate: float = 0.1) -> Records:
        return [
            evidence.on_gpu(measure, **published.tuned(model, normalizer, rate, seed, "gpu"))
            for seed in range(published.SEEDS)
        ]

    with_last = records("vgg11", LAST)
    return {
        "gradient_exponent": exact(gradient_exponent(LAST)),
        "diverged_vgg_11": _share(records("vgg11", "none")),
        "diverged_resnet_18": _share(records("resnet18", "none")),
        "diverged_vgg_11_last_batch_norm": _share(with_last),
        "diverged_resnet_18_last_batch_norm": _share(records("resnet18", LAST)),
        "output_variance_surge": _over_curves(with_last, "output_variance", lambda v: np.log(v.max() / v[0])),
        "output_variance_settles": _over_curves(
            with_last, "output_variance", lambda v: np.log(v[-1] / v[THREE_QUARTERS])
        ),
        "diverged_vgg_11_rate_0.01": _share(records("vgg11", "none", 0.01)),
        **last_layer.dense_spectra(evidence),
        **full_size.spectrum_ratios(evidence),
    }


def gradient_exponent(normalizer: str, samples: int = 64) -> float:
    """Slope of log |gradient| over log scale of the readout weights, the gradient with respect to these, of the small network."""
    digits = task.load("digits", 8, "standardized")
    x, labels = jnp.asarray(digits.train[:samples]), jnp.asarray(digits.train_labels[:samples])
    model = make(SMALL, normalizer, digits.classes, "cifar", key=jax.random.key(0))

    def readout(model: Model) -> Any:
        return model.network.readout.weight  # pyright: ignore[reportAttributeAccessIssue]

    def norm(factor: float) -> float:
        scaled = eqx.tree_at(readout, model, factor * readout(model))
        gradient = jax.grad(lambda model: cross_entropy(model(x), labels))(scaled)
        return float(jnp.linalg.norm(readout(gradient)))

    return float(np.polyfit(np.log(FACTORS), np.log([norm(factor) for factor in FACTORS]), 1)[0])


def rb_2(evidence: Evidence, seeds: int = 10) -> Answers:
    """How far scales, shifts and weights move: the small network, and ResNet-18 where it was trained."""
    small = _small(evidence, "batch_norm", seeds)
    full = _full_size(evidence, "batch_norm")
    return {
        "scale_displacement": _mean(small, "scale_displacement"),
        "shift_displacement": _mean(small, "shift_displacement"),
        "over_weights": _over_weights(small),
        "scale_displacement_resnet_18": _mean(full, "scale_displacement"),
        "shift_displacement_resnet_18": _mean(full, "shift_displacement"),
        "over_weights_resnet_18": _over_weights(full),
    }


def rb_4(evidence: Evidence, seeds: int = published.PAIRED_SEEDS) -> Answers:
    """Test accuracy with small scales, with and without their smaller learning rate, less that of BatchNorm."""
    standard = _small(evidence, "batch_norm", seeds)
    full = [_full_size(evidence, normalizer) for normalizer in ("scaled_batch_norm", "batch_norm")]
    return {
        "gain_small": _gain(_small(evidence, "scaled_batch_norm", seeds), standard),
        "gain_full_size": _gain(*full),
        "gain_scale_alone": _gain(_small(evidence, "scaled_batch_norm", seeds, scale_rate=1.0), standard),
    }


def rb_5(evidence: Evidence, seeds: int = published.PAIRED_SEEDS) -> Answers:
    """Test accuracy with BatchNorm on raw inputs, less that with inputs standardised beforehand, and with raw ones."""
    on_input = _small(evidence, "batch_norm", seeds, inputs="batch_norm")
    return {
        "difference": _gain(on_input, _small(evidence, "batch_norm", seeds)),
        "gain_over_raw": _gain(on_input, _small(evidence, "batch_norm", seeds, inputs="raw")),
    }


def mn_11(evidence: Evidence, seeds: int = 3) -> Answers:
    """Test accuracy of MimicNorm less that of BatchNorm on CIFAR-100, where its folder is given."""

    def difference(model: str) -> Estimate | None:
        both = (_on_cifar(evidence, 100, model, normalizer, seeds) for normalizer in ("mimic_norm", "batch_norm"))
        return _gain(*both)

    return {
        "difference_vgg_11_cifar_100": difference("vgg11"),
        "difference_resnet_18_cifar_100": difference("resnet18"),
    }


def in_11(evidence: Evidence, seeds: int = 3) -> Answers:
    """Test error of BatchNorm less that of IterNorm on CIFAR-10, where its folder is given."""

    def gain(model: str) -> Estimate | None:
        whitened = _on_cifar(evidence, 10, model, "iter_norm", seeds, group_size=16)
        return _gain(whitened, _on_cifar(evidence, 10, model, "batch_norm", seeds))

    gains = {depth: gain(f"wide_resnet{depth}_10") for depth in (28, 40)}
    return {f"{name}_wrn_{depth}_10": found for depth, found in gains.items() for name in ("gain", "printed_gain")}


def _small(evidence: Evidence, normalizer: str, seeds: int, **options: Any) -> Records:
    cells = [published.small(normalizer, seed, **options) for seed in range(seeds)]
    return [evidence.obtain(measure, **cell) for cell in cells]


def _full_size(evidence: Evidence, normalizer: str) -> Records:
    return [
        evidence.on_gpu(measure, **published.paired(normalizer, seed, "gpu")) for seed in range(published.PAIRED_SEEDS)
    ]


def _on_cifar(evidence: Evidence, classes: int, model: str, normalizer: str, seeds: int, **options: Any) -> Records:
    """Trainings on the data that are given; none where they are not those of so many classes."""
    if evidence.data is None or task.load(evidence.data, 32, "standardized").classes != classes:
        return []
    cells = [published.cifar(model, normalizer, seed, evidence.data, **options) for seed in range(seeds)]
    return [evidence.on_gpu(measure, **cell) for cell in cells]


def _samples(records: Iterable[Record | None], quantity: str) -> Float[np.ndarray, " seeds"] | None:
    """A number by seed; None where one was not measured."""
    found = [record and record.find(quantity) for record in records]
    values = [each.value for each in found if isinstance(each, Estimate)]
    return np.array(values) if values and len(values) == len(found) else None


def _mean(records: Records, quantity: str) -> Estimate | None:
    samples = _samples(records, quantity)
    return None if samples is None else summarize(samples)


def _over_weights(records: Records) -> Estimate | None:
    scales, weights = (_samples(records, f"{kind}_displacement") for kind in ("scale", "weight"))
    return None if scales is None or weights is None else summarize(scales / weights)


def _gain(records: Records, others: Records) -> Estimate | None:
    """Test accuracy less that of the others, in points: mean of differences paired by seed."""
    accuracies = [_samples(each, "test_accuracy") for each in (records, others)]
    if accuracies[0] is None or accuracies[1] is None:
        return None
    return summarize(POINTS * (accuracies[0] - accuracies[1]))


def _share(records: Records) -> Estimate | None:
    """The share of trainings that diverged; its error is the posterior's under a uniform prior, not 0 where all seeds agree."""
    samples = _samples(records, "diverged")
    if samples is None:
        return None
    n, diverged = len(samples), float(samples.sum())
    mean = (diverged + 1) / (n + 2)
    return Estimate(diverged / n, (mean * (1 - mean) / (n + 3)) ** 0.5, n)


def _over_curves(
    records: Records, quantity: str, function: Callable[[Float[np.ndarray, " steps"]], float]
) -> Estimate | None:
    """The mean of a number of each curve; None where one was not measured."""
    found = [record and record.find(quantity) for record in records]
    curves = [each.value for each in found if isinstance(each, Series)]
    return summarize(np.array([function(curve) for curve in curves])) if len(curves) == len(found) else None
