"""References: every function that has one is found again by it, and what cannot be found again is refused."""

import functools
import subprocess
import sys

import jax
import pytest

from ntkcheck import stats
from ntkcheck.store import reference, resolve
from tests.store import measures

SOURCE = """
import jax.numpy as jnp

LOADED = []

def own(key, i):
    return []

nested = [lambda x: x]
"""


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (measures.drawn, "tests.store.measures:drawn"),
        (measures.compiled, "tests.store.measures:twice"),
        (stats.interval, "ntkcheck.stats.estimate:interval"),
        (jax.numpy.sin, "jax.numpy:sin"),
    ],
)
def test_functions_of_modules_are_found_again(function, expected):
    if function is measures.compiled:  # the module's `twice` is another function
        with pytest.raises(ValueError, match=r"which is not what tests.store.measures calls 'twice'"):
            reference(function)
    else:
        assert reference(function) == expected
        assert resolve(expected) is function


def test_functions_of_files_are_found_again(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    function = resolve("folder/mine.py:own")
    assert reference(function) == "folder/mine.py:own"
    assert resolve(str(tmp_path / "folder" / "mine.py") + ":own") is function


def test_two_files_of_one_name_are_two_modules(tmp_path):
    for name, value in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(f"def f(key):\n    return {value}\n")
    assert [resolve(f"{tmp_path}/{name}/mine.py:f")(None) for name in "ab"] == [1, 2]


def test_a_script_that_runs_is_referred_to_as_a_file(tmp_path):
    (tmp_path / "script.py").write_text(
        "def f(key): ...\nfrom ntkcheck.store.functions import reference\nprint(reference(f))\n"
    )
    line = [sys.executable, "script.py"]
    found = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout == "script.py:f\n"


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (measures.unnamed, "is a lambda"),
        (measures.closure(), "defined inside another function"),
        (measures.Class().method, "is a lambda, a method"),
        (measures.Class, "is no function"),
        (measures.partial, "is no function with a name"),
        (functools.partial(measures.drawn), "is no function with a name"),
        (jax.jit(lambda x: x), "is a lambda"),
        (3, "is no function"),
        ("tests.store.measures:drawn", "is no function"),
    ],
)
def test_what_cannot_be_found_again_is_refused(function, reason):
    with pytest.raises(
        ValueError, match=f"find by name, got .*, which .*{reason}.*; define it with `def` at the top level"
    ):
        reference(function)


def test_a_function_that_is_replaced_in_its_module_is_refused(monkeypatch):
    original = measures.drawn
    monkeypatch.setattr(measures, "drawn", measures.failing)
    with pytest.raises(ValueError, match=r"is not what tests.store.measures calls 'drawn'"):
        reference(original)


def test_functions_that_were_typed_are_refused(monkeypatch):
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "f", measures.twice, raising=False)
    monkeypatch.setattr(main, "__spec__", None)
    monkeypatch.setattr(main, "__file__", None, raising=False)
    monkeypatch.setattr(measures.twice, "__module__", "__main__")
    monkeypatch.setattr(measures.twice, "__qualname__", "f")
    with pytest.raises(ValueError, match="which was typed into an interactive interpreter"):
        reference(measures.twice)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("measures", "must have the form package.module:function or path/to/file.py:function, got 'measures'"),
        ("tests.store.measures:", "must have the form"),
        ("tests.store.measures:drwan", "has no function 'drwan'; did you mean 'drawn'"),
        ("tests.store.measures:jax", "has no function 'jax'"),
        ("tests.store.no_such:f", "importing tests.store.no_such raised ModuleNotFoundError"),
        ("no/such.py:f", "must name a Python file that exists, got 'no/such.py'"),
        ("{folder}/broken.py:f", "broken.py raised ZeroDivisionError: division by zero; mend or restore it"),
        ("{folder}/exits.py:f", "exits.py raised SystemExit"),
    ],
)
def test_what_a_reference_does_not_lead_to_is_said(tmp_path, text, message):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "exits.py").write_text("raise SystemExit(1)\n")
    for _ in range(2):  # a file that failed is tried again
        with pytest.raises(ValueError, match=message):
            resolve(text.format(folder=tmp_path))
