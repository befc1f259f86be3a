"""A fingerprint of the source that makes a number, found without importing anything."""

import ast
import functools
import hashlib
import importlib.machinery
import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ntkcheck.store.functions import is_file

OURS = "ntkcheck"
KEEPERS = tuple(f"{OURS}.{part}" for part in ("store", "sweep"))  # they keep numbers, they do not make them


_PARSING = threading.Lock()  # Python 3.11 and 3.12 fail where two threads parse at the same time (cpython issue 106905)


class _Module(NamedTuple):
    """A file's digest, and the names that it imports."""

    digest: str
    imports: frozenset[str]


@functools.cache
def code_of(reference: str) -> str:
    """SHA-256 of the source behind a function: its module, and what that imports, directly or through others.

    Followed are imports of ntkcheck and of the function's own top-level package (for a file: of its folder). A package's
    `__init__` counts where a name is taken from it. Comments, docstrings and layout do not count; nor do ntkcheck's store and
    sweep, commands (`__main__`), other libraries (their versions are in the provenance), or data files.
    A file is read once per process: what counts is the code that the process runs, not what is written later.

    Args:
        reference: from `reference(function)`; it need not be importable, only findable.

    Raises:
        ValueError: where its module or file does not exist.

    Assumes:
        imports are statements, not calls of `importlib`, and importing a package has no side effects on numbers.
    """
    place = reference.rpartition(":")[0]
    if is_file(place):
        folder, start, path = Path(place).resolve().parent, Path(place).stem, Path(place).resolve()
    else:
        folder, start, path = None, place, _file_of(place, None)
    if path is None or not path.is_file():
        raise ValueError(f"`reference` must name a module or file that exists, got {reference!r}; check its spelling.")
    digests: dict[str, str] = {}
    waiting: list[tuple[str, Path | None]] = [(start, path)]
    while waiting:
        name, path = waiting.pop()
        if path is not None and name not in digests:
            digests[name], imports = _read(path, name)
            waiting += [(other, _file_of(other, folder)) for other in imports if _counts(other, start, folder)]
    return hashlib.sha256("".join(f"{name} {digests[name]}\n" for name in sorted(digests)).encode()).hexdigest()


def _counts(name: str, start: str, folder: Path | None) -> bool:
    top = name.partition(".")[0]
    left_out = name.endswith(".__main__") or any(f"{name}.".startswith(f"{keeper}.") for keeper in KEEPERS)
    return not left_out and (top in (OURS, start.partition(".")[0]) or folder is not None)


def _file_of(name: str, folder: Path | None) -> Path | None:
    """The file of a module of ntkcheck, of an importable package, or (with `folder`) of a folder; None where there is none."""
    top, *rest = name.split(".")
    if folder is not None and top != OURS:
        return _in_folders((folder,), [top, *rest])
    spec = _top_level(top)
    if spec is None:
        return None
    if spec.submodule_search_locations is None:
        return Path(spec.origin) if spec.has_location and spec.origin and not rest else None
    return _in_folders(tuple(map(Path, spec.submodule_search_locations)), rest)


@functools.cache
def _top_level(name: str) -> importlib.machinery.ModuleSpec | None:
    return importlib.util.find_spec(name)


def _in_folders(folders: tuple[Path, ...], parts: list[str]) -> Path | None:
    candidates = [path for folder in folders for path in _spellings(folder.joinpath(*parts), bool(parts))]
    return next((path for path in candidates if path.is_file()), None)


def _spellings(stem: Path, is_below: bool) -> list[Path]:
    return [stem / "__init__.py", *([stem.with_name(f"{stem.name}.py")] if is_below else [])]


@functools.cache
def _read(path: Path, name: str) -> _Module:
    with _PARSING:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    imports = frozenset(_imported(tree, package))
    _drop_docstrings(tree)
    # Text, not `ast.dump`, whose form changes with Python's version.
    return _Module(hashlib.sha256(ast.unparse(tree).encode()).hexdigest(), imports)


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Dotted names that may be modules: of `from a import b` a and a.b, of `import a.b` a and a.b, of `import a.b as c` a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                yield from [alias.name] if alias.asname else (".".join(parts[: i + 1]) for i in range(len(parts)))
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def _drop_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            del node.body[0]
