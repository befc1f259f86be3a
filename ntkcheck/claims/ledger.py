"""The ledger: claims and bounds as they were written down, one TOML file a paper; the user's own files are read the same way."""

import math
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

from ntkcheck.claims.judge import Claim, Test
from ntkcheck.errors import nearest

PAPERS = ("mimicnorm", "iternorm", "revisiting", "literature")

_TEXTS = {
    "statement": "the claim as its paper makes it",
    "source": "paper and place",
    "how": "which quantity, which estimator",
    "check": "module:function or file.py:function",
    "needs": "the data or hardware that it takes",
    "command": "what tests it",
}
_TEST_TEXTS = {"name": "a name", "says": "what is measured", "otherwise": "what holds instead"}
_CLAIM = (*_TEXTS, "tests", "parameters")
_TEST = tuple(field.name for field in fields(Test))
_NAME = r"[^\W\d]\w*"


def load(paths: Sequence[str | Path] = ()) -> dict[str, Claim]:
    """Every claim by its identifier: those that come with the library, in the order of the papers, then those of `paths`.

    Args:
        paths: TOML files with claims of one's own, in the format of those beside this module.

    Raises:
        FileNotFoundError: If one of `paths` is no file.
        ValueError: For a file that is not TOML, an identifier that is taken, a field that is unknown, missing or of the wrong
            kind, bounds that bound nothing, or a check in a Python file that is not there; file, claim and field are named.
    """
    shipped = resources.files("ntkcheck.claims")
    claims: dict[str, Claim] = {}
    for paper in PAPERS:
        text = (shipped / f"{paper}.toml").read_text(encoding="utf-8")
        _add(claims, _parse(text, f"{paper}.toml"), f"{paper}.toml", None)
    for path in map(Path, paths):
        _add(claims, _parse(_read(path), str(path)), str(path), path.resolve().parent)
    return claims


def _read(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"`paths` must name TOML files, got {str(path)!r}, which is no file; check the path.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} must be text in UTF-8, got a byte that is not ({error}); save it as UTF-8."
        ) from error


def _parse(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file} must be TOML, got a syntax error: {error}; correct it there.") from error


def _add(claims: dict[str, Claim], entries: dict[str, Any], file: str, folder: Path | None) -> None:
    for id, entry in entries.items():
        if id in claims:
            taken = f"{claims[id].paper}.toml has one of this identifier"
            raise ValueError(f"{file}, claim {id}: identifiers must be unique, got {id!r} when {taken}; rename it.")
        claims[id] = _claim(id, entry, file, folder)


def _claim(id: str, entry: Any, file: str, folder: Path | None) -> Claim:
    where = f"{file}, claim {id}"
    _check_fields(entry, where, _CLAIM, ("statement", "source", "tests"), f"[{id}]")
    _check_texts(entry, where, _TEXTS)
    if "check" in entry:
        _check_check(entry["check"], where, folder)
    if not isinstance(entry.get("parameters", {}), dict):
        raise ValueError(
            f"{where}: `parameters` must be a table, got {entry['parameters']!r}; write [{id}.parameters]."
        )
    tests = _tests(entry["tests"], where, id)
    return Claim(id, **(entry | {"tests": tests}), paper=Path(file).stem, folder=folder)


def _tests(entries: Any, where: str, id: str) -> tuple[Test, ...]:
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{where}: `tests` must hold a test at least, got {entries!r}; write them as [[{id}.tests]].")
    tests = tuple(_test(entry, f"{where}, test {i}", id) for i, entry in enumerate(entries, 1))
    names = [test.name for test in tests]
    if twice := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise ValueError(f"{where}: `name` must be unique among its tests, got {twice!r} twice; rename one.")
    if all(test.weaker for test in tests):
        raise ValueError(
            f"{where}: `weaker` must be false for a test at least, got true for all; nothing could refute it."
        )
    return tests


def _test(entry: Any, where: str, id: str) -> Test:
    _check_fields(entry, where, _TEST, ("name", "says"), f"[[{id}.tests]]")
    _check_texts(entry, where, _TEST_TEXTS)
    if not isinstance(weaker := entry.get("weaker", False), bool):
        raise ValueError(f"{where}: `weaker` must be true or false, got {weaker!r}; write it without quotes.")
    low, high = (_bound(entry, key, default, where) for key, default in (("low", -math.inf), ("high", math.inf)))
    if not low < high:
        raise ValueError(
            f"{where}, {entry['name']!r}: `low` must be below `high`, got {low} and {high}; exchange them?"
        )
    if math.isinf(low) and math.isinf(high):
        raise ValueError(f"{where}, {entry['name']!r}: `low` or `high` must be finite, got neither; state a bound.")
    return Test(**(entry | {"low": low, "high": high}))


def _bound(entry: dict[str, Any], key: str, default: float, where: str) -> float:
    value = entry.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ValueError(f"{where}, {entry['name']!r}: `{key}` must be a number, got {value!r}; state the bound.")
    return float(value)


def _check_fields(entry: Any, where: str, known: Iterable[str], required: Iterable[str], header: str) -> None:
    if not isinstance(entry, dict):
        raise ValueError(f"{where} must be a table, got {entry!r}; begin it with {header}.")
    for key in entry:
        if key not in known:
            suggestion = nearest(key, known)
            remedy = f"did you mean `{suggestion}`?" if suggestion else "take it out."
            raise ValueError(f"{where}: fields must be among {', '.join(known)}, got `{key}`; {remedy}")
    for key in required:
        if key not in entry:
            raise ValueError(f"{where}: `{key}` must be there, got only {', '.join(entry) or 'nothing'}; add it.")


def _check_texts(entry: dict[str, Any], where: str, texts: dict[str, str]) -> None:
    for key, meaning in texts.items():
        if key in entry and not (isinstance(entry[key], str) and entry[key].strip()):
            raise ValueError(f"{where}: `{key}` must be a text, got {entry[key]!r}; write in quotes: {meaning}.")


def _check_check(check: str, where: str, folder: Path | None) -> None:
    place, _, function = check.rpartition(":")
    is_file = place.endswith(".py")
    if not (re.fullmatch(_NAME, function) and (is_file or re.fullmatch(rf"{_NAME}(\.{_NAME})*", place))):
        example = "my_package.my_module:my_check or my_file.py:my_check"
        raise ValueError(
            f"{where}: `check` must read module:function or file.py:function, got {check!r}; as {example}."
        )
    if is_file and folder is not None and not (folder / place).is_file():
        raise ValueError(
            f"{where}: `check` must name a Python file relative to its own folder, got {place!r}, which is not in {folder}; "
            "correct the path."
        )
