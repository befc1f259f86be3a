"""The results folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ntkcheck.regime import figure
from ntkcheck.regime.document import to_csv, to_json
from ntkcheck.regime.run import Result


def claim_folder(path: Path) -> Path:
    """Make the folder before anything is measured.

    Raises:
        ValueError: If it cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"`output` must be a folder that can be written to, got {str(path)!r}: {error.strerror}."
        ) from error
    return path


def claim_file(path: Path) -> Path:
    """Make sure, before anything is measured, that a file can be written; one that exists keeps its content until then.

    Raises:
        ValueError: If it cannot be written.
    """
    existed = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
        if not existed:
            path.unlink()
    except OSError as error:
        raise ValueError(f"`json` must be a file that can be written, got {str(path)!r}: {error.strerror}.") from error
    return path


def write_numbers(result: Result, claims: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write JSON and CSV; a reader never meets half a file."""
    return [
        _replace(folder / "regime.json", to_json(result, claims)),
        _replace(folder / "measurements.csv", to_csv(result)),
    ]


def write_figure(result: Result, folder: Path) -> list[Path]:
    """Draw what there is."""
    return figure.save(figure.draw(result.curves(), result.experiment.settings), folder)


def _replace(path: Path, text: str) -> Path:
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return path
