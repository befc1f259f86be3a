"""The fingerprint of code: changed by whatever can change a number, and by nothing else."""

import sys

import pytest

from ntkcheck.store import code, code_of, provenance, reference
from tests.store import measures

FILES = {
    "__init__.py": "'''Package.'''\n",
    "measure.py": (
        "'''Module.'''\nimport math\nfrom pack.theory import law\nfrom . import constants\n\n"
        "def f(key):\n    '''Words.'''\n    return law(constants.C)\n"
    ),
    "theory.py": "def law(x):\n    from pack.deep.series import total\n    return 2 * total(x)\n",
    "constants.py": "C = 1.5\n",
    "deep/__init__.py": "from pack.deep import other\n",
    "deep/series.py": "import pack.unused_by_others as u\n\ndef total(x):\n    return x\n",
    "deep/other.py": "X = 1\n",
    "unused_by_others.py": "Y = 1\n",
    "apart.py": "Z = 1\n",
    "__main__.py": "print(1)\n",
}


def fingerprint(folder, changes=None, reference="pack.measure:f"):
    """Of a package with these files, as a new process would see it."""
    for name, text in (FILES | (changes or {})).items():
        path = folder / "pack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for cached in (code.code_of, code._read, code._top_level):
        cached.cache_clear()
    return code.code_of(reference)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for cached in (code.code_of, code._read, code._top_level):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("measure.py", "law(constants.C)", "law(constants.C) + 1"),
        ("theory.py", "2 * total", "3 * total"),
        ("constants.py", "1.5", "1.25"),
        ("deep/series.py", "return x", "return -x"),
        ("unused_by_others.py", "Y = 1", "Y = 2"),
    ],
)
def test_a_change_of_what_is_imported_counts(folder, name, old, new):
    before = fingerprint(folder)
    assert fingerprint(folder, {name: FILES[name].replace(old, new)}) != before
    assert fingerprint(folder) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("measure.py", FILES["measure.py"].replace("Words.", "Other words.") + "# a comment\n"),
        (
            "measure.py",
            FILES["measure.py"].replace("'''Module.'''\n", "").replace("law(constants.C)", "law( constants.C )"),
        ),
        ("theory.py", FILES["theory.py"].replace("def law(x):", "def law(x):\n    '''The law.'''")),
        ("apart.py", "Z = 2\n"),
        ("__main__.py", "print(2)\n"),
        ("deep/other.py", "X = 2\n"),  # its package is imported, no name is taken from it
    ],
)
def test_words_and_what_is_not_imported_do_not_count(folder, name, text):
    assert fingerprint(folder, {name: text}) == fingerprint(folder)


def test_a_string_that_is_no_docstring_counts(folder):
    assert fingerprint(folder, {"constants.py": "C = 'a'\n"}) != fingerprint(folder, {"constants.py": "C = 'b'\n"})


def test_a_package_counts_where_a_name_is_taken_from_it(folder):
    taken = {"measure.py": FILES["measure.py"] + "from pack.deep import other\n"}
    assert fingerprint(folder, taken) != fingerprint(folder, taken | {"deep/other.py": "X = 2\n"})


def test_nothing_is_imported(folder):
    fingerprint(folder, {"measure.py": "import pack.constants\n1 / 0\n"})
    assert not [name for name in sys.modules if name.partition(".")[0] == "pack"]


def test_files_count_with_their_folder(folder):
    def of_file(text):
        (folder / "mine.py").write_text("import other\nimport json\n\ndef f(key):\n    return other.X\n")
        (folder / "other.py").write_text(text)
        return fingerprint(folder, reference=f"{folder / 'mine.py'}:f")

    assert of_file("X = 1\n") == of_file("X = 1  # one\n")
    assert of_file("X = 1\n") != of_file("X = 2\n")


def test_measures_of_others_count_with_what_they_use_of_ntkcheck():
    found = {}

    def visit(name):
        path = code._file_of(name, None)
        if path is not None and name not in found:
            found[name], imports = code._read(path, name)
            for other in imports:
                if code._counts(other, "tests.store.measures", None):
                    visit(other)

    visit("tests.store.measures")
    assert {"tests.store.measures", "ntkcheck.measurement", "ntkcheck.stats.estimate"} <= found.keys()
    assert not [name for name in found if name.startswith(("ntkcheck.store", "ntkcheck.sweep"))]


@pytest.mark.parametrize(
    "reference", ["no_such_package.module:f", "ntkcheck.no_such:f", "no/such/file.py:f", "json:dumps:x:y"]
)
def test_code_that_does_not_exist_is_refused(reference):
    with pytest.raises(ValueError, match="`reference` must name a module or file that exists, got "):
        code_of(reference)


def test_every_file_is_read_once_for_many_fingerprints():
    names = [path.stem for path in sorted((code.Path(code.__file__).parents[1] / "meanfield").glob("[a-z]*.py"))]
    for cached in (code.code_of, code._read):
        cached.cache_clear()
    found = {code_of(f"ntkcheck.meanfield.{name}:f") for name in names}
    assert len(names) > 10
    assert len(found) > 5  # modules that import each other share one
    read = code._read.cache_info()
    assert read.misses == read.currsize  # each file of each module once, though most are behind every fingerprint
    assert read.hits > read.misses


def test_provenance_says_where_a_number_comes_from():
    import jax

    found = provenance(reference(measures.drawn))
    assert found["code"] == code_of(reference(measures.drawn))
    assert found["jax"] == jax.__version__
    assert (found["dtype"], found["matmul_precision"]) == ("float64", "default")
    with jax.enable_x64(False), jax.default_matmul_precision("highest"):
        other = provenance(reference(measures.drawn))
    assert (other.pop("dtype"), other.pop("matmul_precision")) == ("float32", "highest")
    assert other.items() <= found.items()
    of_all = {"python", "ntkcheck", "jaxlib", "equinox", "optax", "numpy", "scipy", "platform", "device", "revision"}
    assert of_all <= other.keys()
    assert all(isinstance(value, str) and value for value in found.values())
