"""The papers' figures as `python -m figures` leaves them: pictures, captions, the claims they bear on, the tables behind."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIELDS = {"title": str, "caption": str, "claims": list, "tables": list, "command": str}  # of a figure's JSON


@dataclass(frozen=True)
class Picture:
    """A figure of a folder.

    Attributes:
        name: Of its files.
        title: In a few words.
        caption: What is shown, with sample counts and what error bars are; its text alternative too.
        claims: Identifiers of the claims that it bears on.
        command: What draws it.
        svg: The picture.
        tables: The tables behind it, CSV by file name.
    """

    name: str
    title: str
    caption: str
    claims: tuple[str, ...]
    command: str
    svg: str
    tables: dict[str, str]

    @property
    def path(self) -> str:
        """Of the picture in the folder of the report."""
        return f"figures/{self.name}.svg"


def load(folder: Path) -> tuple[Picture, ...]:
    """Every figure of a folder, by name: each NAME.svg that has a NAME.json beside it.

    Raises:
        ValueError: If there is no such folder, it has no figure, or a file of a figure is missing or cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(
            f"`figures` must be a folder that `python -m figures` wrote, got {str(folder)!r}, which is none; run "
            "`python -m figures`, or check the path."
        )
    found = tuple(_picture(path) for path in sorted(folder.glob("*.json")) if path.with_suffix(".svg").is_file())
    if not found:
        raise ValueError(
            f"`figures` must be a folder with a NAME.json for its NAME.svg, got {str(folder)!r}, which has none; run "
            "`python -m figures`, or check the path."
        )
    return found


def _picture(path: Path) -> Picture:
    try:
        about = _checked(json.loads(path.read_text(encoding="utf-8")))
        svg = path.with_suffix(".svg").read_text(encoding="utf-8")
        names = [Path(name).name for name in about["tables"]]
        tables = {name: path.with_name(name).read_text(encoding="utf-8") for name in names}
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`figures` must hold the files that `python -m figures` writes, got {path.name}: {error}; draw it again by "
            f"`python -m figures {path.stem}`."
        ) from error
    return Picture(path.stem, about["title"], about["caption"], tuple(about["claims"]), about["command"], svg, tables)


def _checked(about: Any) -> dict[str, Any]:
    if not isinstance(about, dict):
        raise ValueError("no object")
    for name, kind in FIELDS.items():
        if not isinstance(about.get(name), kind):
            raise ValueError(f"no {name!r} of the right kind")
    if not all(isinstance(each, str) for each in (*about["claims"], *about["tables"])):
        raise ValueError("claims and tables that are no names")
    return about
