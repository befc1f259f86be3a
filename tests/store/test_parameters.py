"""Keys: equal for equal parameters, whatever their order and spelling, and different for different ones."""

import hashlib
import json
import math

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkcheck.store import canonical, key_of, random_key, revived, seed_of
from tests.store import FUNCTION, measures

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
PARAMETERS = st.dictionaries(st.text(), VALUES, max_size=4)


def key(**parameters):
    return key_of(FUNCTION, parameters)


def signature(value):
    """What distinguishes two values, written down apart from the library: numbers by value, everything else by type too."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value).__name__, value)
    if isinstance(value, int | float):
        return ("number", "nan" if value != value else value)
    if isinstance(value, dict):
        return ("dict", frozenset((name, signature(item)) for name, item in value.items()))
    return ("list", tuple(signature(item) for item in value))


@given(PARAMETERS, st.randoms())
def test_keys_do_not_depend_on_the_order_of_names(parameters, random):
    names = list(parameters)
    random.shuffle(names)
    assert key_of(FUNCTION, {name: parameters[name] for name in names}) == key_of(FUNCTION, parameters)


@given(PARAMETERS, PARAMETERS)
def test_keys_are_equal_exactly_where_parameters_are(first, second):
    assert (key_of(FUNCTION, first) == key_of(FUNCTION, second)) == (signature(first) == signature(second))


@given(VALUES, VALUES)
def test_keys_tell_single_values_apart(first, second):
    assert (key(a=first) == key(a=second)) == (signature(first) == signature(second))


@given(PARAMETERS)
def test_parameters_that_were_kept_have_the_key_that_they_had(parameters):
    kept = canonical(parameters)
    assert key_of(FUNCTION, kept) == key_of(FUNCTION, parameters)
    assert key_of(FUNCTION, json.loads(json.dumps(kept))) == key_of(FUNCTION, parameters)
    assert repr(canonical(kept)) == repr(kept)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (1, 1.0),
        (0.0, -0.0),
        (10**22, 1e22),
        (math.nan, -math.nan),
        (math.nan, np.float32(math.nan)),
        ((1, 2), [1.0, 2]),
        (0.5, np.float16(0.5)),
        (3, np.int64(3)),
        (True, np.bool_(True)),
        ("a", np.str_("a")),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}),
    ],
)
def test_equal_values_have_one_key(first, second):
    assert key(a=first) == key(a=second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (True, 1),
        (False, 0),
        (None, 0),
        (None, "null"),
        (math.nan, "nan"),
        (math.nan, "NaN"),
        (math.nan, None),
        (math.inf, -math.inf),
        (1, "1"),
        (0.1, np.float32(0.1)),  # 0.100000001490116
        (1.0, math.nextafter(1.0, 2.0)),
        (2**53, 2**53 + 1),
        ([], {}),
        ([1], 1),
        ([[1], 2], [1, [2]]),
        ("a", "á"),
        ("\u00e1", "a\u0301"),
    ],
)
def test_different_values_have_different_keys(first, second):
    assert key(a=first) != key(a=second)


def test_keys_tell_names_functions_and_places_apart():
    keys = {key(a=1), key(b=1), key(a={"b": 1}), key(a=1, b=None), key_of("other:measure", {"a": 1}), key()}
    assert len(keys) == 6


def test_functions_are_parameters_by_reference_and_source():
    kept = canonical({"function": measures.twice})
    assert kept["function"]["function"] == "tests.store.measures:twice"
    assert key(function=measures.twice) == key(**kept)
    assert key(function=measures.twice) != key(function=measures.thrice)
    changed = {"function": kept["function"] | {"source": "0" * 64}}
    assert key(**changed) != key(**kept)
    assert revived(kept)["function"] is measures.twice
    with pytest.raises(ValueError, match=r"tests.store.measures:twice is no longer the function that was measured"):
        revived(changed)


def test_kept_parameters_keep_the_type_of_numbers():
    kept = canonical({"a": 1.0, "b": 1, "c": np.float64(2), "d": [1, (2.0,)], "e": {"f": np.int8(3)}})
    assert repr(kept) == "{'a': 1.0, 'b': 1, 'c': 2.0, 'd': (1, (2.0,)), 'e': {'f': 3}}"
    assert revived(kept) == kept


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"a": np.ones(2)}, r"`a` must be None, a boolean, .* got ndarray; pass numbers with .tolist\(\)"),
        ({"a": {"b": [1, 2j]}}, r"`a\['b'\]\[1\]` must be None, .* got complex"),
        ({"a": {1: 2}}, "`a` must have strings as names, got 1; use '1'"),
        ({1: 2}, "`parameters` must have strings as names, got 1"),
        ({"a": b"x"}, "`a` must be .* got bytes"),
        ({"a": {1, 2}}, "`a` must be .* got set"),
        ({"a": np.longdouble(1)}, "`a` must be .* got longdouble"),
        ({"f": lambda x: x}, "`f`: `function` must be one that another process can find by name, .* is a lambda"),
        ({"f": measures.Class}, "`f`: `function` must be one that another process can find"),
        ({"f": math.sin}, "`f`: `function` must be .* has no Python source"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(parameters, message):
    with pytest.raises(ValueError, match=message):
        canonical(parameters)
    with pytest.raises(ValueError, match=message):
        key_of(FUNCTION, parameters)


def test_a_key_is_the_digest_of_a_text_that_anyone_can_write():
    parameters = {"y": [1.0, "ü", None, math.nan], "x": {"b": 1.5, "a": -0.0}}
    text = rb'["a:b",{"x":{"a":0,"b":1.5},"y":[1,"\u00fc",null,NaN]}]'
    assert key_of("a:b", parameters) == hashlib.sha256(text).hexdigest()  # so in every process, and on every day


@given(PARAMETERS)
def test_seeds_have_63_bits_of_the_key(parameters):
    found = key_of(FUNCTION, parameters)
    assert seed_of(found) == int(found, 16) >> 193  # 256 - 63
    assert 0 <= seed_of(found) < 2**63


def test_seeds_of_neighbouring_parameters_are_unrelated():
    # 64 x 63 bits of independent coins: share of ones 1/2, standard error 1/2 / 4032^0.5 = 0.0079; 4 of these.
    seeds = [seed_of(key(i=i)) for i in range(64)]
    assert abs(sum(seed.bit_count() for seed in seeds) / (64 * 63) - 0.5) < 4 * 0.0079
    assert not abs(sum(i.bit_count() for i in range(64)) / (64 * 63) - 0.5) < 4 * 0.0079


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**63 - 1])
def test_random_keys_do_not_depend_on_64_bit_mode(seed):
    keys = []
    for x64 in (True, False):
        with jax.enable_x64(x64):
            keys.append(np.asarray(jax.random.key_data(random_key(seed))).tolist())
    assert keys[0] == keys[1] == np.asarray(jax.random.key_data(jax.random.key(seed))).tolist()


def test_both_halves_of_a_seed_count():
    with jax.enable_x64(False):
        keys = {tuple(np.asarray(jax.random.key_data(random_key(seed))).tolist()) for seed in (5, 5 + 2**32, 6)}
    assert len(keys) == 3
