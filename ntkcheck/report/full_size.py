"""Curves of the full-size models as flat rows: what the store has, and what is shipped."""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from ntkcheck import published
from ntkcheck.measurement import Series
from ntkcheck.reference import activations, gradients, ntk
from ntkcheck.report.digits import rounded
from ntkcheck.store import Record, Store, reference

QUANTITIES = {
    "correlation": "correlation of two images",
    "condition_number": "condition number of the covariance of channels",
    "largest_value": "largest normalised value",
    "snd_relative": "SND over the output's root mean square",
    "signal_gradient": "gradient of the signal",
    "ntk_one_spectrum": "NTK eigenvalues, one logit",
}
FUNCTIONS = {reference(function) for function in (activations.measure, gradients.measure, ntk.measure)}


def rows(store: Store, altered: Collection[str] = ()) -> list[dict[str, Any]]:
    """One row a place: model, normaliser, quantity, place, value and one standard error to either side.

    Args:
        store: Open; of a key that it has, its record counts.
        altered: Keys of its records that are not as they were written; these are left out.
    """
    own = {record.key: record for name in FUNCTIONS for record in store.records(name, failed=False)}
    shipped = {key: record for key, record in published.records().items() if record.function in FUNCTIONS}
    found = [record for key, record in (shipped | own).items() if key not in altered]
    order, flat = list(QUANTITIES), [row for record in found for row in _curves(record)]
    known = Counter(model for model, _ in {(row["model"], row["quantity"]) for row in flat})

    def place(row: dict[str, Any]) -> tuple[Any, ...]:
        """Models of which most is known come first: a page begins with the first one."""
        return -known[row["model"]], row["model"], order.index(row["quantity"]), row["normalizer"], row["place"]

    return sorted(flat, key=place)


def _curves(record: Record) -> Iterator[dict[str, Any]]:
    size = record.parameters
    model = f"{size['model']}, {size['image']} px, {size['batch']} images, {record.provenance['device']}"
    for quantity, estimate, _ in record.measurements:
        if quantity in QUANTITIES and isinstance(estimate, Series):
            for at, value, sem in zip(estimate.at, estimate.value, estimate.sem, strict=True):
                ends = {"value": rounded(value), "low": rounded(value - sem), "high": rounded(value + sem)}
                yield {"model": model, "normalizer": size["normalizer"], "quantity": quantity, "place": int(at)} | ends
