"""Bytes saved for the backward pass under BatchNorm and under MimicNorm, beside the memory that MimicNorm's paper prints."""

from typing import Any, NamedTuple

from ntkcheck.reference.papers import CLASSES, PRINTED, PRINTED_BATCH, SIDES, Printed
from ntkcheck.reference.run import Result

MB = 1e6
NORMALIZERS = ("batch_norm", "mimic_norm")
FUSED, DIFFERENTIATED = "saved_by_fused_layers", "saved_as_differentiated"
ACCOUNTS = (FUSED, DIFFERENTIATED)


class Saving(NamedTuple):
    """A model under both normalisers.

    Attributes:
        model: Its name.
        form: Its form.
        image: Side of the images.
        batch: Images of a batch.
        classes: Number of logits.
        saved: Bytes by account and normaliser.
        printed: What the paper prints of that model at that batch, if anything.
    """

    model: str
    form: str
    image: int
    batch: int
    classes: int
    saved: dict[str, dict[str, float]]
    printed: Printed | None

    def ratio(self, account: str) -> float:
        """MimicNorm over BatchNorm."""
        return self.saved[account]["mimic_norm"] / self.saved[account]["batch_norm"]

    def flat(self) -> dict[str, str | int | float | None]:
        """As a row of a table, in MB of a million bytes."""
        row: dict[str, str | int | float | None] = dict(zip(self._fields[:5], self[:5], strict=True))
        for account in ACCOUNTS:
            for normalizer, value in self.saved[account].items():
                row[f"{account}_{normalizer}_MB"] = round(value / MB, 1)
            row[f"{account}_ratio"] = round(self.ratio(account), 4)
        row["printed_batch_norm_MB"] = self.printed and self.printed.batch_norm
        row["printed_mimic_norm_MB"] = self.printed and self.printed.mimic_norm
        row["printed_ratio"] = self.printed and round(self.printed.ratio, 4)
        for normalizer, value in self.saved[FUSED].items():
            row[f"printed_less_fused_{normalizer}_MB"] = self.printed and round(
                getattr(self.printed, normalizer) - value / MB, 1
            )
        return row


def savings(result: Result) -> list[Saving]:
    """The models of a run that were measured under BatchNorm and MimicNorm, in its order."""
    found: dict[tuple[Any, ...], dict[str, dict[str, float]]] = {}
    for cell, quantity, estimate, *_ in result.rows():
        if cell.kind == "memory" and cell.parameters["normalizer"] in NORMALIZERS:
            place = tuple(cell.parameters[name] for name in Saving._fields[:5])
            of_quantity = found.setdefault(place, {}).setdefault(quantity, {})
            of_quantity[cell.parameters["normalizer"]] = estimate.value
    return [
        Saving(*place, saved={account: saved[account] for account in ACCOUNTS}, printed=_printed(*place))
        for place, saved in found.items()
        if len(saved[ACCOUNTS[0]]) == len(NORMALIZERS)
    ]


def _printed(model: str, form: str, image: int, batch: int, classes: int) -> Printed | None:
    """The paper's row for that size."""
    if (image, batch, classes) != (SIDES[form], PRINTED_BATCH, CLASSES[form]):
        return None
    return next((row for row in PRINTED if (row.model, row.form) == (model, form)), None)
