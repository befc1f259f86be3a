"""The directions of imports, and the size and documentation of every file: what a reader may rely on everywhere."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("ntkcheck", "analyses", "figures", "benchmarks", "tests")

# What each part of ntkcheck may import of the others; every part may import itself. A new part has to be given its place here.
LAYERS = {"errors", "compilation", "stats", "normalizers", "activations", "network", "kernels"}
THEORY_AND_NETWORKS = {"meanfield", "empirical", "snd", "models"}
SIDE = {"data", "measurement", "store", "sweep", "output", "drawing", "table", "records"}
MAY_IMPORT = {
    "__init__": set(),
    "errors": set(),
    "stats": {"errors"},
    "data": {"errors"},
    "normalizers": {"errors"},
    "activations": {"errors"},
    "nt_adapter": {"errors"},
    "kernels": {"errors"},
    "compilation": {"errors"},
    "network": {"errors", "normalizers", "activations"},
    **dict.fromkeys(THEORY_AND_NETWORKS, LAYERS),
    "measurement": {"errors", "stats"},
    "store": {"errors", "stats", "measurement", "json_text"},
    "sweep": {"errors", "stats", "measurement", "store"},
    "json_text": set(),
    "output": set(),
    "drawing": {"output"},
    "table": {"measurement", "store", "sweep"},
    "records": {"measurement", "stats", "store", "table"},
    "command": {"claims", "output", "records", "store"},
    "thread_pool": set(),
    "published": {"store"},
    "regime": LAYERS | THEORY_AND_NETWORKS | SIDE | {"json_text"},
    "disturbance": LAYERS | THEORY_AND_NETWORKS | SIDE | {"json_text"},
    "reference": LAYERS | THEORY_AND_NETWORKS | SIDE | {"json_text"},
    "training": LAYERS | THEORY_AND_NETWORKS | SIDE | {"json_text", "reference"},
    "claims": LAYERS
    | THEORY_AND_NETWORKS
    | SIDE
    | {"json_text", "nt_adapter", "reference", "regime", "disturbance", "training", "published"},
    "__main__": {"regime", "reference", "snd", "claims", "store", "report", "training"},
    "report": LAYERS
    | THEORY_AND_NETWORKS
    | SIDE
    | {"json_text", "claims", "regime", "disturbance", "reference", "published"},
}
# A command, which nothing imports, may also read data, keep its measurements and report the claims that they bear on.
COMMAND_MAY_IMPORT = SIDE | {"command", "json_text", "thread_pool", "regime", "disturbance", "claims"}


def python_files(root: Path, *folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            yield path.relative_to(root), ast.parse(path.read_text(encoding="utf-8"))


def imported_names(path: Path, tree: ast.Module) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, as a dotted name; of `from a import b`, a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(path.parts[: -node.level]) if node.level else ""
            base = ".".join(part for part in (package, node.module) if part)
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and is_dotted_name(node.value):
            # The argument of import_module and its like, by whatever route it gets there.
            yield node.value


def is_dotted_name(text: str) -> bool:
    """Whether a string names a module of ours below the package, or neural_tangents."""
    parts = text.split(".")
    return all(part.isidentifier() for part in parts) and (
        parts[0] == "neural_tangents" or (parts[0] == "ntkcheck" and len(parts) > 1 and parts[1] in MAY_IMPORT)
    )


def part_of(path: Path) -> str:
    """ntkcheck/meanfield/field.py -> meanfield, ntkcheck/errors.py -> errors."""
    return path.parts[1] if len(path.parts) > 2 else path.stem


def wrong_imports(root: Path) -> list[str]:
    wrong = []
    for path, tree in python_files(root, "ntkcheck"):
        part = part_of(path)
        allowed = MAY_IMPORT.get(part, set()) | {part} | (COMMAND_MAY_IMPORT if path.stem == "__main__" else set())
        for name in imported_names(path, tree):
            top, _, rest = name.partition(".")
            if (
                (top == "ntkcheck" and rest.partition(".")[0] not in allowed)
                or (top in FOLDERS and top != "ntkcheck")
                or (top == "neural_tangents" and part != "nt_adapter")
            ):
                wrong.append(f"{path} imports {name}")
    return wrong


def configurations_of_jax(root: Path) -> list[str]:
    """Files other than commands that call jax.config.update or assign to one of its attributes."""

    def is_config(node):
        return (isinstance(node, ast.Name) and node.id == "config") or (
            isinstance(node, ast.Attribute) and node.attr == "config"
        )

    def configures(node):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return node.func.attr == "update" and is_config(node.func.value)
        targets = node.targets if isinstance(node, ast.Assign) else []
        return any(isinstance(target, ast.Attribute) and is_config(target.value) for target in targets)

    return [
        str(path)
        for path, tree in python_files(root, "ntkcheck")
        if path.stem != "__main__" and any(map(configures, ast.walk(tree)))
    ]


def undocumented(root: Path) -> list[str]:
    """Modules, and public functions, classes and methods of theirs, without a docstring."""

    def missing(node, name):
        if not ast.get_docstring(node):
            yield name
        for child in node.body if isinstance(node, ast.Module | ast.ClassDef) else ():
            if isinstance(child, ast.FunctionDef | ast.ClassDef) and not child.name.startswith("_"):
                yield from missing(child, f"{name}:{child.name}")

    return [name for path, tree in python_files(root, "ntkcheck") for name in missing(tree, str(path))]


def oversized(root: Path) -> list[str]:
    """Files over 400 lines, and functions over 50, docstrings not counted."""
    large = []
    for path, tree in python_files(root, *FOLDERS):
        if (lines := len((root / path).read_text(encoding="utf-8").splitlines())) > 400:
            large.append(f"{path}: {lines} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                if (lines := (node.end_lineno or 0) - first.lineno + 1) > 50:
                    large.append(f"{path}:{node.name}: {lines} lines")
    return large


def fake(root: Path, path: str, source: str) -> Path:
    """A tree in which one file, at `path`, holds `source`."""
    (root / path).parent.mkdir(parents=True)
    (root / path).write_text(source)
    return root


def test_the_files_of_the_package_are_found():
    names = {str(path) for path, _ in python_files(ROOT, "ntkcheck")}
    assert {"ntkcheck/errors.py", "ntkcheck/normalizers/user.py", "ntkcheck/nt_adapter.py"} <= names


def test_every_part_of_the_package_has_its_place():
    parts = {part_of(path) for path, _ in python_files(ROOT, "ntkcheck")}
    assert parts - MAY_IMPORT.keys() == set()


def test_permitted_imports_go_one_way():
    order = {part: MAY_IMPORT[part] for part in MAY_IMPORT}
    while order:
        bottom = {part for part, below in order.items() if not below & order.keys()}
        assert bottom, f"{sorted(order)} may import each other in a circle"
        order = {part: below for part, below in order.items() if part not in bottom}


def test_imports_go_downwards_only():
    assert wrong_imports(ROOT) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("ntkcheck/meanfield/wrong.py", "from ntkcheck import empirical"),
        ("ntkcheck/meanfield/wrong.py", "from ntkcheck.empirical import ntk"),
        ("ntkcheck/meanfield/wrong.py", "import ntkcheck.empirical.ntk as ntk"),
        ("ntkcheck/meanfield/wrong.py", "from ..empirical import ntk"),
        ("ntkcheck/meanfield/wrong.py", "from .. import empirical"),
        ("ntkcheck/meanfield/wrong.py", "def f():\n    from ntkcheck.models import resnet\n"),
        ("ntkcheck/meanfield/wrong.py", "import importlib\nimportlib.import_module('ntkcheck.empirical')"),
        ("ntkcheck/meanfield/wrong.py", "from ntkcheck.data import digits"),
        ("ntkcheck/empirical/wrong.py", "from ntkcheck.nt_adapter import load"),
        ("ntkcheck/snd/wrong.py", "import neural_tangents as nt"),
        ("ntkcheck/snd/wrong.py", "import importlib\nname = 'neural_tangents'\nimportlib.import_module(name)"),
        ("ntkcheck/normalizers/wrong.py", "from ntkcheck.stats import Estimate"),
        ("ntkcheck/activations/wrong.py", "from ntkcheck.normalizers import zca"),
        ("ntkcheck/stats/wrong.py", "from ntkcheck.meanfield import Field"),
        ("ntkcheck/sweep.py", "from ntkcheck import regime"),
        ("ntkcheck/snd/__main__.py", "from ntkcheck import report"),
        ("ntkcheck/regime/wrong.py", "from ntkcheck import claims"),
        ("ntkcheck/disturbance/wrong.py", "from ntkcheck import regime"),
        ("ntkcheck/snd/wrong.py", "from ntkcheck import disturbance"),
        ("ntkcheck/claims/wrong.py", "from analyses import depth"),
        ("ntkcheck/errors.py", "from ntkcheck import stats"),
        ("ntkcheck/__init__.py", "from ntkcheck import normalizers"),
        ("ntkcheck/a_new_part.py", "from ntkcheck import errors"),
    ],
)
def test_an_import_in_the_wrong_direction_is_caught(tmp_path, path, source):
    assert len(wrong_imports(fake(tmp_path, path, source))) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "ntkcheck/meanfield/right.py",
            "from ntkcheck import activations, normalizers\nfrom ntkcheck.meanfield.field import Field",
        ),
        (
            "ntkcheck/meanfield/right.py",
            "from .field import Field\nfrom ..normalizers import zca\nfrom ..errors import nearest",
        ),
        ("ntkcheck/meanfield/right.py", "'''As ntkcheck.empirical does, and neural_tangents.'''\nimport numpy"),
        ("ntkcheck/snd/__main__.py", "from ntkcheck import data, store\nfrom ntkcheck.claims import ledger"),
        ("ntkcheck/claims/right.py", "from ntkcheck import data, snd"),
        ("ntkcheck/claims/right.py", "from ntkcheck.regime import Settings"),
        ("ntkcheck/regime/__main__.py", "from ntkcheck.claims import Verdict"),
        ("ntkcheck/nt_adapter.py", "import importlib\nimportlib.import_module('neural_tangents')"),
    ],
)
def test_an_import_in_the_right_direction_is_let_pass(tmp_path, path, source):
    assert wrong_imports(fake(tmp_path, path, source)) == []


def test_only_commands_configure_jax():
    assert configurations_of_jax(ROOT) == []


@pytest.mark.parametrize(
    "line",
    [
        "jax.config.update('jax_enable_x64', True)",
        "from jax import config\nconfig.update('jax_enable_x64', True)",
        "def f():\n    jax.config.jax_enable_x64 = True\n",
    ],
)
def test_a_module_that_configures_jax_is_caught_and_a_command_is_not(tmp_path, line):
    assert configurations_of_jax(fake(tmp_path / "module", "ntkcheck/meanfield/wrong.py", line)) != []
    assert configurations_of_jax(fake(tmp_path / "command", "ntkcheck/regime/__main__.py", line)) == []


def test_every_public_function_and_class_has_a_docstring():
    assert undocumented(ROOT) == []


def test_a_missing_docstring_is_caught(tmp_path):
    source = "def f(): ...\nclass C:\n    '''C.'''\n    def g(self): ...\n    def _h(self): ...\ndef _i(): ...\n"
    found = undocumented(fake(tmp_path, "ntkcheck/wrong.py", source))
    assert found == ["ntkcheck/wrong.py", "ntkcheck/wrong.py:f", "ntkcheck/wrong.py:C:g"]


def test_files_and_functions_are_of_a_size_to_be_read():
    assert oversized(ROOT) == []


def test_a_large_file_or_function_is_caught(tmp_path):
    long_function = "def f():\n    '''Words.\n\n    Words.'''\n" + "    x = 1\n" * 51
    assert oversized(fake(tmp_path / "function", "tests/wrong.py", long_function)) == ["tests/wrong.py:f: 51 lines"]
    assert oversized(fake(tmp_path / "file", "figures/wrong.py", "x = 1\n" * 401)) == ["figures/wrong.py: 401 lines"]
    assert oversized(fake(tmp_path / "both", "tests/right.py", long_function[:-10] + "\n" * 346)) == []
