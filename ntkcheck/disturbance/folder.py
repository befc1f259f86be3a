"""The results folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ntkcheck.disturbance import figure
from ntkcheck.disturbance.document import to_csv, to_json
from ntkcheck.disturbance.run import Result
from ntkcheck.output import replace_file, save_figure


def write_numbers(result: Result, claims: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write JSON and CSV; a reader never meets half a file."""
    return [
        replace_file(folder / "snd.json", to_json(result, claims)),
        replace_file(folder / "measurements.csv", to_csv(result)),
    ]


def write_figures(result: Result, folder: Path) -> list[Path]:
    """Draw what there is, one figure for every number of features."""
    widths = list(dict.fromkeys(d for _, d in result.experiment.populations))
    stems = ["snd"] if len(widths) == 1 else [f"snd_d{d}" for d in widths]
    return [
        path
        for d, stem in zip(widths, stems, strict=True)
        for path in save_figure(figure.draw(result, d), folder / stem)
    ]
