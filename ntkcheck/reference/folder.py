"""The results folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ntkcheck.output import replace_file
from ntkcheck.reference.document import tables, to_json
from ntkcheck.reference.run import Result


def write(result: Result, command: str, claims: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write JSON and CSV; a reader never meets half a file."""
    texts = {"reference.json": to_json(result, command, claims)}
    texts |= {f"{name}.csv": text for name, text in tables(result, command).items()}
    return [replace_file(folder / name, text) for name, text in texts.items()]
