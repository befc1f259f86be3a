"""The option by which every command takes its store."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_STORE = Path("ntkcheck.db")
StorePath = Annotated[
    Path,
    typer.Option(
        "--store", envvar="NTKCHECK_STORE", help="File that keeps every measurement; made where there is none."
    ),
]
