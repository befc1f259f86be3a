"""Names under which functions are found again: in another process, on another day."""

import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ntkcheck.errors import nearest

_REMEDY = "define it with `def` at the top level of a module or file"
_loading = threading.RLock()
_written: dict[str, str] = {}  # modules loaded from files by `resolve`: name in sys.modules -> path as it was given


def reference(function: Callable[..., Any]) -> str:
    """The name by which `resolve` finds a function: "package.module:function", or "path/to/file.py:function".

    Args:
        function: a function at the top level of a module that can be imported, of a file that `resolve` loaded, or of the
            script that is running (whose path is taken from the working folder where it lies below that).

    Raises:
        ValueError: for lambdas, closures, methods, classes, and functions that cannot be found again by name.
    """
    name, module_name = getattr(function, "__qualname__", None), getattr(function, "__module__", None)
    if not callable(function) or isinstance(function, type) or not name or not module_name:
        raise _not_found_again(function, "is no function with a name and a module")
    if not name.isidentifier() or inspect.ismethod(function):
        raise _not_found_again(function, "is a lambda, a method, or defined inside another function")
    module = sys.modules.get(module_name)
    if getattr(module, name, None) is not function:
        raise _not_found_again(function, f"is not what {module_name} calls {name!r}")
    return f"{_place(module_name, module, function)}:{name}"


def resolve(reference: str) -> Callable[..., Any]:
    """The function of a reference: its module imported, or its file loaded, once per process.

    Args:
        reference: "package.module:function" or "path/to/file.py:function".

    Raises:
        ValueError: where there is no such module, file or function, or loading it fails.
    """
    place, _, name = reference.rpartition(":")
    if not place or not name.isidentifier():
        raise ValueError(
            f"`reference` must have the form package.module:function or path/to/file.py:function, got {reference!r}; "
            "take it from `reference(function)`."
        )
    with _loading:
        module = _load(place) if is_file(place) else _import(place)
    function = getattr(module, name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        suggestion = nearest(name, known)
        remedy = f"did you mean {suggestion!r}?" if suggestion else "check its spelling."
        raise ValueError(
            f"`reference` must name a function, got {reference!r}: {place} has no function {name!r}; {remedy}"
        )
    return function


def is_file(place: str) -> bool:
    """Whether a reference's part before the colon is the path of a file, not the name of a module."""
    return place.endswith(".py")


@functools.lru_cache(maxsize=256)
def source_digest(function: Callable[..., Any]) -> str:
    """SHA-256 of a function's source text.

    Raises:
        ValueError: where it has none (built into the interpreter or a compiled module).
    """
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        raise _not_found_again(function, "has no Python source") from None
    return hashlib.sha256(source.encode()).hexdigest()


def _place(module_name: str, module: ModuleType | None, function: Callable[..., Any]) -> str:
    """What stands before the colon."""
    if module_name in _written:
        return _written[module_name]
    if module_name != "__main__":
        return module_name
    spec, file = getattr(module, "__spec__", None), getattr(module, "__file__", None)
    if spec is not None:  # started by `python -m`
        return spec.name
    if file is None or not is_file(file):
        raise _not_found_again(function, "was typed into an interactive interpreter")
    path = Path(file).resolve()
    return (path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path).as_posix()


def _not_found_again(function: object, reason: str) -> ValueError:
    return ValueError(
        f"`function` must be one that another process can find by name, got {function!r}, which {reason}; {_REMEDY}."
    )


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise _broken(f"importing {name}", error) from error


def _load(place: str) -> ModuleType:
    path = Path(place).resolve()
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    _written.setdefault(name, Path(place).as_posix())
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ValueError(
            f"`reference` must name a Python file that exists, got {place!r}; check the path from {Path.cwd()}."
        )
    sys.modules[name] = module = importlib.util.module_from_spec(spec)  # where dataclasses look their annotations up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _broken(f"running {place}", error) from error
    return module


def _broken(action: str, error: BaseException) -> ValueError:
    summary = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return ValueError(
        f"`reference` must name code that can be loaded, but {action} raised {summary}; mend or restore it."
    )
