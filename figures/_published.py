"""Tables of the records that are shipped with the package; `python -m figures --published` writes them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from figures import SHIPPED
from ntkcheck import published
from ntkcheck.measurement import Series
from ntkcheck.reference import papers
from ntkcheck.stats import Estimate
from ntkcheck.store import Record
from ntkcheck.table import RECORD_DIGITS, csv_text, origins
from ntkcheck.training.published import LEARNING_RATES, PAIRED_STEPS, SEEDS, TUNED_MODELS, TUNED_STEPS

REFERENCE, TRAINING = "ntkcheck.reference.", "ntkcheck.training.outcome:measure"
KINDS = ("activations", "gradients", "ntk_one", "ntk_all", "program", "timing")  # of measurement, as tables name them
DEVICES = ("gpu", "cpu")
SIZE = ("model", "form", "normalizer", "image", "batch", "classes", "precision")
TRAINED = ("model", "normalizer", "learning_rate", "batch", "steps", "seed")
TUNED_NORMALIZERS = ("none", "last_batch_norm")
CURVES = ("output_variance", "training_loss")
EVERY, FIRST = 5, 20  # steps of a curve that a table keeps: the first ones, then every so many, and the last
OUTCOMES = ("test_accuracy", "scale_displacement", "shift_displacement", "weight_displacement")

Wanted = Callable[[str, float | None], bool]  # of a quantity and its place in a series, None for a number


def tables() -> dict[str, str]:
    """CSV by name; the same records give the same bytes."""
    records = sorted(published.records().values(), key=_order)
    reference = [each for each in records if each.function.startswith(REFERENCE)]
    trained = [each for each in records if each.function == TRAINING]
    tuned = [each for each in trained if _is_tuned(each)]
    paired = [each for each in trained if each.parameters["steps"] == PAIRED_STEPS]
    notes = _not_on_gpu(reference)
    activations = [each for each in reference if _kind(each) == "activations"]
    others = [each for each in reference if _kind(each) != "activations"]
    return {
        "reference": _table(reference, lambda _, at: at is None, notes),
        "reference_activations": _table(activations, lambda _, at: at is not None, notes),
        "reference_curves": _table(others, lambda _, at: at is not None, notes),
        "training_mn9": _table(tuned, _is_kept, _not_trained(tuned)),
        "training_paired": _table(paired, lambda quantity, _: quantity in OUTCOMES),
    }


def _table(records: list[Record], wanted: Wanted, notes: Iterable[str] = ()) -> str:
    rows = [row for record in records for row in _rows(record, wanted)]
    return csv_text(rows, [f"command: {SHIPPED}", *origins(each.provenance for each in records), *notes])


def _rows(record: Record, wanted: Wanted) -> Iterator[dict[str, Any]]:
    for quantity, estimate, _ in record.measurements:
        for at, value, sem in _places(estimate):
            if wanted(quantity, at):
                number = {"at": at, "value": f"{value:.6g}", "sem": f"{sem:.6g}", "n": estimate.n}
                yield _subject(record) | {"quantity": quantity} | number | {"record": record.key[:RECORD_DIGITS]}


def _places(estimate: Estimate | Series) -> Iterable[tuple[float | None, float, float]]:
    if isinstance(estimate, Series):
        return zip(estimate.at.tolist(), estimate.value, estimate.sem, strict=True)
    return [(None, estimate.value, estimate.sem)]


def _subject(record: Record) -> dict[str, Any]:
    if record.function == TRAINING:
        return {name: record.parameters[name] for name in TRAINED}
    return {name: record.parameters[name] for name in SIZE} | {
        "device": record.provenance["device"],
        "kind": _kind(record),
    }


def _kind(record: Record) -> str:
    """The module that measured it, and of an NTK the logits: one, or the trace over all."""
    name = record.function.removeprefix(REFERENCE).partition(":")[0]
    return f"{name}_{record.parameters['logits']}" if name == "ntk" else name


def _order(record: Record) -> tuple[Any, ...]:
    names = ("model", "form", "normalizer", "logits", "learning_rate", "seed", "device", "batch", "seeds")
    return (record.function, *(record.parameters.get(name, 0) for name in names))


def _is_tuned(record: Record) -> bool:
    return record.parameters["steps"] == TUNED_STEPS and record.parameters["normalizer"] in TUNED_NORMALIZERS


def _is_kept(quantity: str, at: float | None) -> bool:
    if at is None:
        return quantity == "diverged"
    return quantity in CURVES and (at < FIRST or at % EVERY == 0 or at == TUNED_STEPS - 1)


def _not_on_gpu(records: list[Record]) -> list[str]:
    """Of the papers' models and normalisers, those that a kind has no record of, and those that it has of a CPU alone."""
    by_device = {
        device: {_place(each) for each in records if each.parameters["device"] == device} for device in DEVICES
    }
    wanted = [(kind, *place, name) for kind in KINDS for place, names in papers.table().items() for name in names]
    found: dict[str, list[str]] = {}
    for kind, *place in wanted:
        devices = [device for device in DEVICES if (kind, *place) in by_device[device]]
        if "gpu" not in devices:
            said = f"on a CPU alone, {kind}" if devices else f"not measured, {kind}"
            found.setdefault(said, []).append(" ".join(place))
    return [f"{said}: {', '.join(names)}" for said, names in found.items()]


def _place(record: Record) -> tuple[str, ...]:
    return _kind(record), *(record.parameters[name] for name in SIZE[:3])


def _not_trained(records: list[Record]) -> list[str]:
    """The trainings that claim MN-9 asks for and that were not run."""
    found = [tuple(each.parameters[name] for name in TRAINED[:3]) for each in records]
    wanted = [(*each, rate) for each in _networks() for rate in LEARNING_RATES]
    missing = {each: SEEDS - found.count(each) for each in wanted}
    names = [f"{model} {name} {rate:g}: {n}" for (model, name, rate), n in missing.items() if n]
    return [f"seeds not trained, of {SEEDS}: {', '.join(names)}"] if names else []


def _networks() -> list[tuple[str, str]]:
    return [(model, normalizer) for model in TUNED_MODELS for normalizer in TUNED_NORMALIZERS]
