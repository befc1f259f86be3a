"""Messages for bad input."""

from pathlib import Path

import pytest

from ntkcheck.errors import broken_file, nearest, unknown_name

ACTIVATIONS = ["relu", "erf", "leaky_relu", "identity"]


def test_unknown_name_lists_the_known_ones_and_suggests_the_nearest():
    error = unknown_name("activation", "rleu", ACTIVATIONS)
    assert isinstance(error, ValueError)
    assert str(error) == (
        "`activation` must be one of relu, erf, leaky_relu, identity, got 'rleu'; did you mean 'relu'?"
    )


@pytest.mark.parametrize("value", ["swish", None, 3, ""])
def test_unknown_name_suggests_nothing_where_nothing_is_near(value):
    assert str(unknown_name("activation", value, ACTIVATIONS)).endswith(f"got {value!r}; choose one of these.")
    assert str(unknown_name("activation", value, iter(ACTIVATIONS), "or pass a function")).endswith(
        "or pass a function."
    )


@pytest.mark.parametrize(("name", "known"), [("ReLU", "relu"), ("leaky-relu", "leaky_relu"), ("idenity", "identity")])
def test_nearest_looks_past_case_and_hyphens(name, known):
    assert nearest(name, ACTIVATIONS) == known


def test_broken_file_names_the_file_and_what_is_wrong_with_it():
    message = str(broken_file("store", Path("a.db"), "a store", "ends early"))
    assert message == "`store` must name a store, got a.db, which ends early; fetch or write the file again."
