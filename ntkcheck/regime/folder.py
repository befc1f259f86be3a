"""The results folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ntkcheck.output import replace_file, save_figure
from ntkcheck.regime import figure
from ntkcheck.regime.document import to_csv, to_json
from ntkcheck.regime.run import Result


def write_numbers(result: Result, claims: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write JSON and CSV; a reader never meets half a file."""
    return [
        replace_file(folder / "regime.json", to_json(result, claims)),
        replace_file(folder / "measurements.csv", to_csv(result)),
    ]


def write_figure(result: Result, folder: Path) -> list[Path]:
    """Draw what there is."""
    return save_figure(figure.draw(result.curves(), result.experiment.settings), folder / "regime")
