"""A user's file: what goes wrong is said, and what the function couples is found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck.normalizers import Normalizer, batch_norm, from_file, from_function, get
from ntkcheck.normalizers.user import coupled_features, couples_samples

BATCH, FEATURES = 6, 8

IMPORTS = "import jax\nimport jax.numpy as jnp\nimport numpy as np\n"
BATCH_NORM = IMPORTS + "def mine(x):\n    x = x - x.mean(0)\n    return x / jnp.sqrt((x**2).mean(0))\n"


def loaded(tmp_path, text, name="mine", file="mine.py"):
    (tmp_path / file).write_text(text)
    return from_file(f"{tmp_path / file}:{name}", BATCH, FEATURES)


def function_of(body):
    return f"{IMPORTS}def mine(x):\n    {body}\n"


def test_a_function_is_loaded_and_does_what_it_did(tmp_path):
    normalizer = loaded(tmp_path, BATCH_NORM)
    assert (normalizer.name, normalizer.group_size, normalizer.centred_weights) == ("mine", 1, False)
    x = np.random.default_rng(0).normal(size=(BATCH, FEATURES))
    np.testing.assert_allclose(normalizer.function(jnp.asarray(x)), jax.jit(batch_norm)(x), atol=1e-14)
    normalizer.check(BATCH, FEATURES)


def test_a_function_named_like_one_of_the_library_is_not_taken_for_it(tmp_path):
    normalizer = loaded(tmp_path, BATCH_NORM.replace("mine", "weight_mean"), "weight_mean")
    assert (normalizer.name, normalizer.group_size) == ("user_weight_mean", 1)


def test_a_file_may_hold_dataclasses_with_annotations_as_strings(tmp_path):
    # dataclasses look the module up in sys.modules; Equinox modules are dataclasses.
    text = "from __future__ import annotations\nimport dataclasses\nfrom typing import ClassVar\n" + BATCH_NORM
    text += "@dataclasses.dataclass(frozen=True)\nclass Scale:\n    by: float\n    kind: ClassVar[str] = 'scale'\n"
    text += "    def __call__(self, x):\n        return self.by * x\nscaled = Scale(2.0)\n"
    assert loaded(tmp_path, text, "scaled").group_size == 1


@pytest.mark.parametrize("spec", ["mine.py", "mine.py:", ":mine", ""])
def test_a_name_without_file_or_function_is_refused(spec):
    with pytest.raises(ValueError, match=rf"`normalizer` must read path/to/file\.py:function, got '{spec}'"):
        from_file(spec, BATCH, FEATURES)


def test_a_missing_file_and_a_directory_are_refused(tmp_path):
    for path in (tmp_path / "missing.py", tmp_path):
        with pytest.raises(
            FileNotFoundError, match=r"`normalizer` must name a Python file, got '.*', which is no file; chec"
        ):
            from_file(f"{path}:mine", BATCH, FEATURES)


@pytest.mark.parametrize("file", ["mine.txt", "mine", "mine.so", "mine.pyc"])
def test_a_file_that_is_not_python_is_refused(tmp_path, file):
    with pytest.raises(ValueError, match=rf"`normalizer` must name a Python file \(\.py\), got '.*{file}'"):
        loaded(tmp_path, BATCH_NORM, file=file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def mine(x:\n", "SyntaxError: '\\(' was never closed"),
        ("import no_such_module_at_all\n", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)\n", "SystemExit: 0"),
        ("raise ValueError('first line\\nsecond line')\n", "ValueError: first line$"),
    ],
)
def test_a_file_that_cannot_be_run_is_refused_with_the_reason(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"`normalizer`: running '.*mine\.py' raised {message}"):
        loaded(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mien", "has no function 'mien'; did you mean 'mine'"),
        ("spectral", "has no function 'spectral'; it has mine, other"),
        ("constant", "has no function 'constant'; it has mine, other"),
    ],
)
def test_a_missing_function_is_refused_with_the_nearest_one(tmp_path, name, message):
    text = "def mine(x):\n    return x\ndef other(x):\n    return x\ndef _private(x):\n    return x\nconstant = 3\n"
    with pytest.raises(ValueError, match=message):
        loaded(tmp_path, text, name)


def test_a_file_without_functions_says_so(tmp_path):
    with pytest.raises(ValueError, match="has no function 'mine'; it has none"):
        loaded(tmp_path, "")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return x / 'a'", "raised TypeError: ."),
        ("return x[:, 100:101].reshape(3, 7)", "raised TypeError: .*reshape"),
        ("return x[:2]", r"returned an array of shape \(2, 8\); it must return .* given, \(6, 8\)"),
        ("return x.mean()", r"returned an array of shape \(\); it must return"),
        ("return None", "returned a NoneType; it must return an array of the shape"),
        ("return (x, x)", "returned a tuple; it must return an array of the shape"),
        ("return [[1.0] * 8] * 6", "returned a list; it must return an array of the shape"),
        ("return x.astype(jnp.float32)", "returned float32 for float64; it must keep the dtype"),
        ("return jnp.sign(x).astype(int)", "returned int64 for float64; it must keep the dtype"),
        ("return x + 0j", "returned complex128 for float64; it must keep the dtype"),
    ],
)
def test_a_function_that_fails_or_returns_something_else_is_refused(tmp_path, body, message):
    with pytest.raises(
        ValueError, match=rf"`normalizer` '.*:mine' on a standard Gaussian batch of shape \(6, 8\) {message}"
    ):
        loaded(tmp_path, function_of(body))


@pytest.mark.parametrize(
    ("body", "value"),
    [("return jnp.where(x > 1.5, jnp.nan, x)", "nan"), ("return jnp.where(x > 1.5, -jnp.inf, x)", "-inf")],
)
def test_a_value_that_is_not_finite_is_refused_with_the_input_that_it_came_from(tmp_path, body, value):
    x = np.asarray(jax.random.normal(jax.random.key(0), (BATCH, FEATURES)))
    sample, feature = np.argwhere(x > 1.5)[0]
    message = rf"returned {value} for sample {sample}, feature {feature} \(input {x[sample, feature]:.6g}\); it must"
    with pytest.raises(ValueError, match=message):
        loaded(tmp_path, function_of(body))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return np.sqrt(np.abs(x))", "TracerArrayConversionError: .* Remedy: use jax.numpy in place of numpy"),
        (
            "return x if x.mean() > 9 else -x",
            "TracerBoolConversionError: .* Remedy: .*branch on them with jax.numpy.where",
        ),
        ("return x * float(x.std())", "ConcretizationTypeError: .* Remedy: .*its values are unknown"),
        ("return x * [1, 2][int(x[0, 0] > 0)]", "ConcretizationTypeError: .* Remedy: .*its values are unknown"),
    ],
)
def test_a_function_that_jax_cannot_compile_is_refused_with_the_remedy(tmp_path, body, message):
    with pytest.raises(ValueError, match=f"cannot be compiled and differentiated: {message}"):
        loaded(tmp_path, function_of(body))


def test_a_function_without_a_rule_for_its_derivative_is_refused(tmp_path):
    body = "return jax.pure_callback(lambda x: x, x, x)"
    with pytest.raises(ValueError, match=r"cannot be compiled and differentiated: .* Remedy: write it in jax\.numpy"):
        loaded(tmp_path, function_of(body))


def test_a_derivative_that_is_not_finite_is_refused(tmp_path):
    # sqrt(relu(x)^2) is finite; its derivative at 0 is 0 / 0.
    with pytest.raises(ValueError, match="has a derivative that is not finite; the NTK needs one"):
        loaded(tmp_path, function_of("return jnp.sqrt(jnp.maximum(x, 0) ** 2)"))


def of_four(x):
    return x.reshape(x.shape[0], -1, 4)


COUPLINGS = {
    "batch": (lambda x: x / jnp.sqrt((x**2).mean(0)), 1),
    "pointwise": (jnp.tanh, 1),
    "constant": (jnp.ones_like, 1),
    "groups": (lambda x: (of_four(x) / jnp.sqrt((of_four(x) ** 2).mean((0, 2), keepdims=True))).reshape(x.shape), 4),
    "layer": (lambda x: x / jnp.sqrt((x**2).mean(1, keepdims=True)), 8),
    "triangle": (lambda x: jnp.cumsum(of_four(x), axis=2).reshape(x.shape), 4),
    "reversed triangle": (lambda x: jnp.cumsum(of_four(x[:, ::-1]), axis=2).reshape(x.shape)[:, ::-1], 4),
    "band": (lambda x: x + jnp.pad(x, ((0, 0), (1, 0)))[:, :-1], 8),
    "mirror": (lambda x: x[:, ::-1], 2),
}


def answers_to_the_first(function, x):
    """How many features answer when the first one moves."""
    tangent = np.zeros_like(x)
    tangent[:, 0] = 1.0
    return np.sum(np.any(np.asarray(jax.jvp(function, (x,), (tangent,))[1]) != 0, axis=0))


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_the_features_that_a_function_couples_are_found(coupling):
    function, group_size = COUPLINGS[coupling]
    x = np.random.default_rng(1).normal(size=(BATCH, FEATURES))
    assert coupled_features(function, jnp.asarray(x)) == group_size
    # Power: counting the answers to one feature misses what is coupled the other way, or further away.
    simple = ("batch", "pointwise", "groups", "layer", "triangle")
    assert (answers_to_the_first(jax.jit(function), x) == group_size) == (coupling in simple)


def test_a_function_that_couples_all_features_has_no_group_size(tmp_path):
    assert loaded(tmp_path, function_of("return x / jnp.sqrt((x**2).mean(1, keepdims=True))")).group_size is None
    body = "return jnp.cumsum(x.reshape(x.shape[0], -1, 4), axis=2).reshape(x.shape)"
    assert loaded(tmp_path, function_of(body)).group_size == 4


def test_groups_of_unequal_size_are_refused():
    def first_three(x):
        return jnp.concatenate([x[:, :3] * x[:, :3].mean(), x[:, 3:]], axis=1)

    with pytest.raises(
        ValueError, match="must couple its features in groups of one size, got groups of 1 to 3 among 8"
    ):
        coupled_features(first_three, jnp.ones((BATCH, FEATURES)))


def test_a_function_is_checked_as_one_from_a_file_is():
    def softened(x):
        return x / jnp.sqrt(1 + (x**2).mean(1, keepdims=True))

    assert from_function(softened, BATCH, FEATURES) == Normalizer("softened", softened, None)
    with pytest.raises(
        ValueError, match=r"`normalizer` sqrt on a standard Gaussian batch of shape \(6, 8\) returned nan for"
    ):
        from_function(jnp.sqrt, BATCH, FEATURES)


@pytest.mark.parametrize(
    ("normalizer", "couples"),
    [("none", False), ("layer_norm", False), ("batch_norm", True), (jnp.tanh, False)],
)
def test_whether_samples_see_each_other_is_found(normalizer, couples):
    assert couples_samples(get(normalizer, group_size=4), BATCH, FEATURES) == couples
