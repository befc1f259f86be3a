import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck import normalizers
from ntkcheck.normalizers import NAMES, Normalizer, batch_norm, get, iter_norm, layer_norm, zca

EVERY_SETTING = [
    (name, parameters) for name in NAMES for parameters in ({}, {"group_size": 8, "iterations": 3, "eps": 1e-5})
]


def shifted(x):
    """A user's function."""
    return x - 1.0


@pytest.mark.parametrize(("name", "parameters"), EVERY_SETTING)
def test_the_same_arguments_give_the_same_object(name, parameters):
    assert get(name, **parameters) is get(name, **parameters)
    assert hash(get(name, **parameters)) == hash(get(name, **parameters))
    assert get(get(name, **parameters), group_size=2) is get(name, **parameters)


def test_other_arguments_give_another_normalizer():
    settings = [("zca", {}), ("zca", {"group_size": 8}), ("zca", {"eps": 0.1}), ("pca", {})]
    settings += [("iter_norm", {}), ("iter_norm", {"iterations": 4}), ("batch_norm", {}), ("batch_norm", {"eps": 0.1})]
    settings += [("layer_norm", {}), ("layer_norm", {"eps": 0.1}), ("none", {}), ("weight_mean", {})]
    assert len({get(name, **parameters) for name, parameters in settings}) == len(settings)


def test_a_normalizer_is_a_static_argument_that_compiles_once():
    traces = []

    @functools.partial(jax.jit, static_argnums=0)
    def normalized(normalizer, x):
        traces.append(normalizer.name)
        return normalizer.function(x)

    for normalizer, eps in (("batch_norm", 1e-5), ("batch_norm", 1e-5), ("batch_norm", 0.0), ("batch_norm", 0)):
        normalized(get(normalizer, eps=eps), jnp.ones((4, 2)))
    for _ in range(2):
        normalized(get(shifted), jnp.ones((4, 2)))
    assert traces == ["batch_norm", "batch_norm", "shifted"]


def test_a_name_gives_the_function_with_its_parameters():
    for name, function, parameters in (
        ("batch_norm", batch_norm, {"eps": 0.1}),
        ("layer_norm", layer_norm, {"eps": 0.1}),
        ("zca", zca, {"eps": 0.1, "group_size": 4}),
        ("iter_norm", iter_norm, {"eps": 0.1, "group_size": 4, "iterations": 3}),
    ):
        partial = get(name, **parameters).function
        assert isinstance(partial, functools.partial)
        assert (partial.func, partial.args, partial.keywords) == (function, (), parameters)
    # At eps = 0 theory has exact paths for these two, which it finds by the function itself.
    assert (get("batch_norm").function, get("layer_norm").function) == (batch_norm, layer_norm)
    x = jnp.ones((2, 2))
    assert get("none").function(x) is x
    assert get("weight_mean").function(x) is x


def test_what_theory_has_to_know_of_each():
    known = {name: (get(name).group_size, get(name).centred_weights, get(name).iterations) for name in NAMES}
    assert known == {
        "none": (1, False, None),
        "weight_mean": (1, True, None),
        "batch_norm": (1, False, None),
        "layer_norm": (None, False, None),
        "zca": (16, False, None),
        "pca": (16, False, None),
        "cholesky": (16, False, None),
        "iter_norm": (16, False, 5),
    }
    assert [get(name).name for name in NAMES] == list(NAMES)
    assert get("iter_norm", group_size=4, iterations=7).iterations == 7


@pytest.mark.parametrize("name", NAMES[2:])
def test_a_function_of_the_library_is_the_normalizer_of_its_name(name):
    assert get(getattr(normalizers, name)) is get(name)
    assert get(getattr(normalizers, name), 4, 3, 0.1) is get(name, 4, 3, 0.1)


def test_a_function_of_the_user_couples_one_feature_unless_told():
    assert get(shifted) == Normalizer("shifted", shifted, 1)
    assert get(shifted, group_size=4) == Normalizer("shifted", shifted, 4)
    assert get(lambda x: x).name == "<lambda>"
    assert get(functools.partial(batch_norm, eps=0.1)).name == "function"


@pytest.mark.parametrize("name", NAMES)
def test_a_function_of_the_user_is_not_taken_for_the_library_one_of_its_name(name):
    # Theory treats "none" and "weight_mean" in closed form, by name.
    def function(x):
        return 2 * x

    function.__name__ = name
    assert get(function) == Normalizer(f"user_{name}", function, 1)


def test_a_function_that_cannot_be_hashed_is_refused():
    class Unhashable:
        __hash__ = None

        def __call__(self, x):
            return x

    with pytest.raises(
        ValueError, match=r"`normalizer` must be hashable, .* got a Unhashable that is not; pass a function"
    ):
        get(Unhashable())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("batchnorm", "did you mean 'batch_norm'"),
        ("Batch-Norm", "did you mean 'batch_norm'"),
        ("iternorm", "did you mean 'iter_norm'"),
        ("weightmean", "did you mean 'weight_mean'"),
        ("spectral", "got 'spectral'; choose one of these"),
        (None, "got None; choose"),
        (["zca"], r"got \['zca'\]; choose"),
        (np.ones(2), r"got array\(\[1., 1.\]\); choose"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest_known_one(name, message):
    with pytest.raises(ValueError, match=f"`normalizer` must be one of none, weight_mean, batch_norm, .*{message}"):
        get(name)


def test_a_group_size_of_another_type_is_refused_and_spoils_nothing():
    for group_size in (8.0, 0, -8, True, "8"):
        with pytest.raises(ValueError, match="`group_size` must be a positive whole number of features per group, got"):
            get("zca", group_size=group_size)
        with pytest.raises(ValueError, match="`group_size` must be a positive whole number of features per group, got"):
            get(shifted, group_size=group_size)
    # 8.0 == 8: a cache that had let it in would hand it out here.
    assert type(get("zca", group_size=8).group_size) is int


def test_iterations_and_eps_outside_their_domain_are_refused():
    for iterations in (0, -1, 5.0, True, None):
        with pytest.raises(
            ValueError, match=f"`iterations` must be a positive whole number .*, got {iterations}; try 5"
        ):
            get("iter_norm", iterations=iterations)
    for eps in (-1e-5, float("nan"), float("inf")):
        for name in ("batch_norm", "zca", "iter_norm"):
            with pytest.raises(ValueError, match=f"`eps` must be a finite number >= 0, got {eps}; 0 is"):
                get(name, eps=eps)


def test_check_refuses_batches_and_features_that_do_not_do():
    for name in ("batch_norm", "iter_norm"):
        with pytest.raises(ValueError, match=f"`{name}` needs at least 2 samples in a batch, got 1; raise"):
            get(name, group_size=4).check(1, 8)
    with pytest.raises(ValueError, match="`layer_norm` needs at least 2 features, got 1; raise the width"):
        get("layer_norm").check(8, 1)
    for name in ("zca", "pca", "cholesky", "iter_norm"):
        with pytest.raises(ValueError, match="must divide the number of features, got 12 for 64 features; try 8 or 16"):
            get(name, group_size=12).check(128, 64)
    for name in ("zca", "pca", "cholesky"):
        for batch in (1, 15, 16):
            with pytest.raises(
                ValueError, match=f"`{name}` needs more samples than features .*got a batch of {batch} for"
            ):
                get(name).check(batch, 64)
    with pytest.raises(ValueError, match="must divide the number of features, got 3 for 8 features; try 2 or 4"):
        get(shifted, group_size=3).check(4, 8)


@pytest.mark.parametrize(
    ("name", "batch", "features"),
    [
        ("batch_norm", 2, 1),
        ("layer_norm", 1, 2),
        ("zca", 17, 16),
        ("iter_norm", 2, 16),
        ("none", 1, 1),
        ("weight_mean", 1, 1),
    ],
)
def test_check_lets_pass_what_can_be_normalized(name, batch, features):
    normalizer = get(name)
    normalizer.check(batch, features)
    x = np.random.default_rng(1).normal(size=(batch, features))
    assert np.all(np.isfinite(jax.jit(normalizer.function)(x)))


def test_a_normalizer_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'group_size'"):
        get("zca").group_size = 4
