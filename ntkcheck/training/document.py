"""The result of a run as one JSON object, as CSV, and as a table for a terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.table import Table

from ntkcheck.json_text import json_text
from ntkcheck.measurement import summarize, with_error
from ntkcheck.records import LEVEL, account, with_interval
from ntkcheck.stats import Estimate
from ntkcheck.store import Record
from ntkcheck.training.experiment import Experiment

SETTING = ("model", "normalizer", "inputs", "learning_rate")
SHOWN = {
    "diverged": "diverged",
    "test_accuracy": "test accuracy",
    "test_loss": "test loss",
    "final_training_accuracy": "training accuracy",
    "final_training_loss": "training loss",
    "scale_displacement": "scale moved",
    "weight_displacement": "weights moved",
}


def summaries(records: Sequence[Record]) -> dict[tuple[Any, ...], dict[str, Estimate]]:
    """Every number by setting: its mean over seeds with the standard error of their scatter; of one seed, as it was measured."""
    found: dict[tuple[Any, ...], dict[str, list[Estimate]]] = {}
    for record in records:
        of_setting = found.setdefault(tuple(record.parameters[name] for name in SETTING), {})
        for quantity, estimate, _ in record.measurements:
            if isinstance(estimate, Estimate):
                of_setting.setdefault(quantity, []).append(estimate)
    return {
        setting: {quantity: _over_seeds(estimates) for quantity, estimates in of_setting.items()}
        for setting, of_setting in found.items()
    }


def by_name(records: Sequence[Record]) -> dict[str, Record]:
    """The records by what their trainings are called."""
    return {_label(record): record for record in records}


def to_json(experiment: Experiment, records: Sequence[Record], command: str) -> str:
    """The document as JSON text; the same settings on the same machine give the same but for times."""
    document = {
        "program": "ntkcheck.training",
        "command": command,
        "complete": len(records) == len(experiment.cells) and not any(record.failure for record in records),
        "settings": asdict(experiment.settings),
        "device": experiment.device,
        "data": experiment.source,
        "level": LEVEL,
        "trainings": list(_rows(records)),
        **account(by_name(records)),
    }
    return json_text(document)


def render(experiment: Experiment, records: Sequence[Record]) -> Table:
    """A row for each setting, means over seeds."""
    table = Table(title=f"Trainings; seeds {experiment.settings.seeds}; device: {experiment.device}")
    for column in (*SETTING, *SHOWN.values()):
        table.add_column(column.replace("_", " "))
    for setting, of_setting in summaries(records).items():
        table.add_row(*map(str, setting), *(with_error(of_setting.get(quantity)) for quantity in SHOWN))
    return table


def _rows(records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    for setting, of_setting in summaries(records).items():
        for quantity, estimate in of_setting.items():
            yield {**dict(zip(SETTING, setting, strict=True)), "quantity": quantity, **with_interval(estimate)}


def _over_seeds(estimates: list[Estimate]) -> Estimate:
    if len(estimates) == 1:
        return estimates[0]
    return summarize(np.array([estimate.value for estimate in estimates]))


def _label(record: Record) -> str:
    model, normalizer, inputs, rate = (record.parameters[name] for name in SETTING)
    return f"{model}, {normalizer}, {inputs} inputs, learning rate {rate}, seed {record.parameters['seed']}"
