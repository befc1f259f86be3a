"""What full-size models show at initialisation: records of a run, kept or shipped, and the answers that follow from them.

Nothing here is measured: where a record is missing, its tests have no answer.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from ntkcheck.claims.evidence import Answers, Evidence
from ntkcheck.measurement import Series
from ntkcheck.reference import activations, images, ntk
from ntkcheck.reference.case import Case
from ntkcheck.reference.experiment import BATCH, NTK_CLASSES
from ntkcheck.reference.papers import CLASSES, SIDES
from ntkcheck.reference.settings import Settings
from ntkcheck.stats import Estimate
from ntkcheck.store import Record

RUN = Settings(device="cpu")  # the command's own defaults otherwise
ACTIVATION_NETWORKS, NTK_NETWORKS = 8, 16  # at first 4 of each, on a GPU, which left most bounds inside the intervals
KINDS = {"straight": ("vgg11", "vgg16"), "residual": ("resnet18", "resnet50")}
SPECTRA = {"vgg_11": "vgg11", "resnet_18": "resnet18"}
CONDITIONED = {"wrn_28_10": ("wide_resnet28_10", "cifar"), "resnet_18": ("resnet18", "imagenet")}
BATCH_NORMALIZED = (
    *((model, "cifar") for model in ("resnet18", "resnet50", "vgg11", "vgg16", "squeezenet1_0", "shufflenet_v2_x1_0")),
    *((model, "cifar") for model in ("wide_resnet28_10", "wide_resnet40_10")),
    *((model, "imagenet") for model in ("resnet18", "resnet50", "shufflenet_v2_x0_5")),
)
LAST_HIDDEN = -2  # of the places; the last one is the logits


def pair_correlations(evidence: Evidence) -> Answers:
    """Claim MN-5: the mean pair correlation at the last hidden place, of several models the one farther from 0."""

    def last_hidden(model: str, normalizer: str) -> Estimate | None:
        found = _series(_activations(evidence, model, normalizer), "correlation")
        return found and _at(found, LAST_HIDDEN)

    return {
        f"correlation_{kind}_{normalizer}": _extreme([last_hidden(model, normalizer) for model in models], abs)
        for kind, models in KINDS.items()
        for normalizer in ("batch_norm", "mimic_norm")
    }


def spectrum_ratios(evidence: Evidence) -> Answers:
    """Claim MN-9: log10 of the largest NTK eigenvalue under MimicNorm over that without normalisation."""

    def largest(model: str, normalizer: str) -> Estimate | None:
        found = _series(_ntk(evidence, model, normalizer), "ntk_one_spectrum")
        return found and _at(found, 0)

    return {
        f"log_spectrum_ratio_{name}": _log_ratio(largest(model, "mimic_norm"), largest(model, "none"))
        for name, model in SPECTRA.items()
    }


def largest_values(evidence: Evidence) -> Answers:
    """Claim RB-1: the largest value at a BatchNorm, least over all places, and over its bound, largest over all places."""
    records = [_activations(evidence, model, "batch_norm", form) for model, form in BATCH_NORMALIZED]
    found = [
        (largest, over)
        for record in records
        if (largest := _series(record, "largest_value")) and (over := _series(record, "largest_over_bound"))
    ]
    if len(found) < len(records):
        return {"largest_full_size": None, "over_bound_full_size": None}
    values = [_at(largest, i) for largest, over in found for i in np.flatnonzero(np.isin(largest.at, over.at))]
    over_bounds = [_at(over, i) for _, over in found for i in range(len(over.at))]
    return {
        "largest_full_size": _extreme(values, lambda value: -value),
        "over_bound_full_size": _extreme(over_bounds, lambda value: value),
    }


def conditioning(evidence: Evidence) -> Answers:
    """Claim IN-6: condition number (log10) and stable rank of all channels under IterNorm over BatchNorm, means over places."""
    answers: Answers = {}
    for name, place in CONDITIONED.items():
        model, form = place
        both = [_activations(evidence, model, normalizer, form) for normalizer in ("iter_norm", "batch_norm")]
        answers |= {
            f"log_condition_ratio_{name}": _over_places(both, "condition_number", _log_ratio),
            f"stable_rank_ratio_{name}": _over_places(both, "stable_rank", ratio),
        }
    return answers


def sharpness(evidence: Evidence) -> Answers:
    """Claim LT-3: largest over mean eigenvalue of the NTK, with BatchNorm at the end and in the middle, and without."""
    answers: Answers = {}
    for name, model in SPECTRA.items():
        none, last, middle, layer_norm = (
            _sharpness(_ntk(evidence, model, normalizer))
            for normalizer in ("none", "mimic_norm", "batch_norm", "layer_norm")
        )
        answers |= {
            f"none_{name}": none,
            f"last_layer_{name}": last,
            f"middle_layers_over_none_{name}": ratio(middle, none),
            f"layer_norm_over_none_{name}": ratio(layer_norm, none),
        }
    return answers


def ratio(over: Estimate | None, under: Estimate | None) -> Estimate | None:
    """A quotient of means, its error to first order; None where one is missing.

    Assumes:
        independent means. Those of the same networks tend to rise together, which makes the error too large, not too small.
    """
    if over is None or under is None:
        return None
    value = over.value / under.value
    return Estimate(value, abs(value) * _relative_error(over, under), min(over.n, under.n))


def _log_ratio(over: Estimate | None, under: Estimate | None) -> Estimate | None:
    """The logarithm, base 10, of `ratio`."""
    if over is None or under is None:
        return None
    value = float(np.log10(over.value / under.value))
    return Estimate(value, _relative_error(over, under) / float(np.log(10)), min(over.n, under.n))


def _relative_error(over: Estimate, under: Estimate) -> float:
    return float(np.hypot(over.sem / over.value, under.sem / under.value))


def _over_places(
    records: Sequence[Record | None],
    quantity: str,
    compare: Callable[[Estimate | None, Estimate | None], Estimate | None],
) -> Estimate | None:
    """The mean over normalised places of two records compared, with the mean of the places' errors: places are correlated."""
    over, under = (_series(record, quantity) for record in records)
    normalized = _series(records[0], "largest_over_bound")
    if over is None or under is None or normalized is None:
        return None
    places = np.flatnonzero(np.isin(over.at, normalized.at) & _is_finite(over) & _is_finite(under))
    found = [each for i in places if (each := compare(_at(over, i), _at(under, i)))]
    if not found:
        return None
    value, sem, _ = np.mean(found, axis=0)
    return Estimate(float(value), float(sem), min(each.n for each in found))


def _is_finite(series: Series) -> Bool[np.ndarray, " places"]:
    return np.isfinite(series.value) & np.isfinite(series.sem)


def _sharpness(record: Record | None) -> Estimate | None:
    share = record and record.find("ntk_one_largest_share")
    return Estimate(BATCH * share.value, BATCH * share.sem, share.n) if isinstance(share, Estimate) else None


def _extreme(found: Sequence[Estimate | None], size: Callable[[float], float]) -> Estimate | None:
    """The estimate of the greatest size; None where one is missing."""
    present = [each for each in found if each]
    return max(present, key=lambda each: size(each.value)) if present and len(present) == len(found) else None


def _at(series: Series, i: int | np.integer[Any]) -> Estimate:
    return Estimate(float(series.value[i]), float(series.sem[i]), series.n)


def _series(record: Record | None, quantity: str) -> Series | None:
    found = record and record.find(quantity)
    return found if isinstance(found, Series) else None


def _activations(evidence: Evidence, model: str, normalizer: str, form: str = "cifar") -> Record | None:
    return evidence.found(activations.measure, **activations_parameters(model, normalizer, form))


def _ntk(evidence: Evidence, model: str, normalizer: str) -> Record | None:
    return evidence.found(ntk.measure, **ntk_parameters(model, normalizer))


def activations_parameters(model: str, normalizer: str, form: str) -> dict[str, Any]:
    """What `python -m ntkcheck.reference --seeds 8` asks `activations.measure` for."""
    case = Case(model, normalizer, form, SIDES[form], BATCH, CLASSES[form])
    return _parameters(case, activations.POPULATION_BATCHES, ACTIVATION_NETWORKS)


def ntk_parameters(model: str, normalizer: str) -> dict[str, Any]:
    """What `python -m ntkcheck.reference --seeds 16` asks `ntk.measure` for, of one logit of a CIFAR form."""
    case = Case(model, normalizer, "cifar", SIDES["cifar"], BATCH, NTK_CLASSES)
    return _parameters(case, 1, NTK_NETWORKS) | {"logits": "one", "memory": None}


def _parameters(case: Case, batches: int, networks: int) -> dict[str, Any]:
    inputs = images.load(RUN.data, batches * case.batch, case.image, RUN.seed).digest
    asked = {name: getattr(RUN, name) for name in ("precision", "device", "data", "seed")}
    return case._asdict() | asked | {"inputs": inputs, "seeds": networks}
