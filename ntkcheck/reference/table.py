"""The result as tables for a terminal."""

from collections import defaultdict

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table

from ntkcheck.measurement import with_error
from ntkcheck.reference.run import Result
from ntkcheck.reference.savings import ACCOUNTS, MB, savings

BYTES = "_bytes"


def render(result: Result) -> RenderableType:
    """Numbers by model, the ends of the series, and the bytes saved under BatchNorm and MimicNorm."""
    tables = [_numbers(result), _series(result), _savings(result)]
    return Group(*(table for table in tables if table.row_count))


def _numbers(result: Result) -> Table:
    found = defaultdict(dict)
    for row in result.rows():
        large = row.quantity.endswith(BYTES) or row.quantity.startswith("saved_")
        text = f"{row.estimate.value / MB:.5g} MB" if large else with_error(row.estimate)
        found[row.quantity, row.cell.parameters["batch"]][row.cell.subject] = text
    return _by_subject(result, "Numbers", found)


def _series(result: Result) -> Table:
    found = defaultdict(dict)
    for curve in result.curves():
        values = curve.estimate.value
        if len(values):
            middle = np.median(values)
            text = f"{values[0]:.3g} .. {middle:.3g} .. {values[-1]:.3g}"
            found[curve.quantity, curve.cell.parameters["batch"]][curve.cell.subject] = text
    return _by_subject(result, "Series: first .. median .. last", found)


def _by_subject(result: Result, title: str, found: dict[tuple[str, int], dict[str, str]]) -> Table:
    table = Table(title=f"{title}; device: {result.experiment.device}")
    for column in ("quantity", "batch", "model", "value"):
        table.add_column(column)
    for (quantity, batch), values in found.items():
        for i, (subject, text) in enumerate(values.items()):
            table.add_row(quantity if i == 0 else "", str(batch) if i == 0 else "", subject, text)
        table.add_section()
    return table


def _savings(result: Result) -> Table:
    table = Table(
        title="Saved for the backward pass, BatchNorm -> MimicNorm, MB and ratio",
        caption="printed: memory in all, MimicNorm (arXiv 2010.09278)",
    )
    for column in ("model", "image", "batch", *(account.replace("_", " ") for account in ACCOUNTS), "printed"):
        table.add_column(column, justify="right" if column != "model" else "left")
    for each in savings(result):
        saved = [
            f"{each.saved[a]['batch_norm'] / MB:.0f} -> {each.saved[a]['mimic_norm'] / MB:.0f}  {each.ratio(a):.3f}"
            for a in ACCOUNTS
        ]
        printed = each.printed
        said = f"{printed.batch_norm} -> {printed.mimic_norm}  {printed.ratio:.3f}" if printed else "-"
        table.add_row(f"{each.model} ({each.form})", str(each.image), str(each.batch), *saved, said)
    return table
