"""A number that is measured again has to be what is stored: bit by bit, or within its error where the code has changed."""

import math
from dataclasses import replace

import jax
import numpy as np
import pytest

from ntkcheck.measurement import Measurement, Series
from ntkcheck.stats import Estimate
from ntkcheck.store import Record, Store, key_of, provenance, random_key, reference, seed_of
from ntkcheck.store.repeat import repeat, repetitions
from tests.store import measures, record


def measured(function, /, **parameters):
    """The record of a measurement that is made here."""
    name = reference(function)
    seed = seed_of(key_of(name, parameters))
    return Record(name, parameters, function(random_key(seed), **parameters), None, seed, "", 0.0, provenance(name))


def changed(record, quantity, change, **origin):
    """The record with another value, as if it had come from elsewhere."""
    found = tuple(
        m._replace(estimate=change(m.estimate)) if m.quantity == quantity else m for m in record.measurements
    )  # fmt: skip
    return replace(record, measurements=found, provenance=record.provenance | origin)


def shifted(amount):
    return lambda estimate: estimate._replace(value=estimate.value + amount)


def test_the_same_code_gives_the_same_bits():
    for made in (measured(measures.drawn, i=3), measured(measures.applied, function=measures.twice, at=2.0)):
        assert repeat(made)[1:] == (True, "agrees bit by bit (same code, versions and device)")


def test_a_last_bit_that_differs_is_noticed_and_named():
    made = measured(measures.drawn, i=3)
    value = made.find("number").value
    found = repeat(changed(made, "number", lambda e: e._replace(value=math.nextafter(value, 9))))
    assert not found.holds
    assert f"number was {math.nextafter(value, 9)!r} with standard error 0 and is {value!r}" in found.reason
    assert "compared bit by bit" in found.reason
    found = repeat(changed(made, "curve", lambda e: e._replace(sem=e.sem + 1e-9)))
    assert not found.holds
    assert "curve was [" in found.reason


def test_another_revision_alone_is_the_same_code():
    made = measured(measures.drawn, i=3)
    assert "bit by bit" in repeat(changed(made, "", None, revision="other")).reason


@pytest.mark.parametrize(("factor", "holds"), [(0.0, True), (0.9, True), (-0.9, True), (1.1, False), (-1.1, False)])
@pytest.mark.parametrize("origin", [{"code": "older"}, {"jax": "0.9"}, {"device": "other"}])
def test_other_code_has_to_agree_within_the_error(factor, holds, origin):
    made = measured(measures.drawn, i=3)
    value = made.find("number").value  # without noise: 1e-6 of it
    found = repeat(changed(made, "number", shifted(1e-6 * value * factor), **origin))
    assert found.holds is holds
    assert f"within 4 combined standard errors or 1e-06 (changed since: {next(iter(origin))})" in found.reason
    at_one = np.array([0, 4 * 2**0.5 * 0.1, 0])  # the curve's standard error there is 0.1 both times
    found = repeat(changed(made, "curve", shifted(at_one * factor), **origin))
    assert found.holds is holds


@pytest.mark.parametrize(
    ("old", "new", "agree"),
    [
        (Estimate(math.nan, math.nan, 3), Estimate(math.nan, 0.0, 3), True),
        (Estimate(math.inf, 0.0, 0), Estimate(math.inf, 0.0, 0), True),
        (Estimate(math.inf, math.inf, 0), Estimate(-math.inf, math.inf, 0), False),
        (Estimate(math.inf, math.inf, 0), Estimate(1.0, math.inf, 0), False),
        (Estimate(math.nan, 1.0, 2), Estimate(1.0, 1.0, 2), False),
        (Estimate(1.0, math.nan, 2), Estimate(2.0, math.nan, 2), False),
        (Estimate(0.0, 0.0, 0), Estimate(0.0, 0.0, 0), True),
        (Series(np.ones(2), np.zeros(2), 0, np.arange(2)), Series(np.ones(2), np.zeros(2), 0, np.arange(1, 3)), False),
        (Series(np.ones(2), np.zeros(2), 0, np.arange(2)), Series(np.ones(3), np.zeros(3), 0, np.arange(3)), False),
        (Series(np.ones(1), np.zeros(1), 0, np.arange(1)), Estimate(1.0, 0.0, 0), False),
    ],
)
def test_values_that_are_not_finite_or_of_other_places(monkeypatch, old, new, agree):
    made = measured(measures.drawn, i=0)
    stored = replace(made, measurements=(Measurement("a", old, "b"),), provenance=made.provenance | {"code": "older"})
    monkeypatch.setattr(measures, "drawn", lambda key, i: [Measurement("a", new, "b")])
    assert repeat(stored).holds is agree


def test_the_number_format_of_the_record_is_used():
    with jax.enable_x64(False):
        made = measured(measures.drawn, i=3)
    assert made.provenance["dtype"] == "float32"
    assert repeat(made).holds
    assert not repeat(replace(made, provenance=made.provenance | {"dtype": "float64"})).holds


def test_what_raises_now_or_measures_something_else_does_not_hold():
    made = measured(measures.drawn, i=3)
    raising = replace(made, function="tests.store.measures:failing")
    assert repeat(raising)[1:] == (False, "succeeded, and now raises ArithmeticError: broke down")
    other = replace(made, measurements=made.measurements[:1])
    assert repeat(other)[1:] == (False, "has other quantities now: number, curve")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (record(function="tests.store.measures:gone"), "has no function 'gone'"),
        (record(function="no/file.py:f"), "must name a Python file that exists"),
        (record(parameters={"j": 1}), "missing a required argument: 'i'"),
        (
            record(parameters={"i": {"function": "gone.module:f", "source": "0"}}),
            "importing gone.module raised ModuleNotFoundError",
        ),
        (
            record(parameters={"i": {"function": "tests.store.measures:twice", "source": "0"}}),
            "is no longer the function that was",
        ),
    ],
)
def test_what_cannot_be_found_again_is_told(made, reason):
    found = repeat(made)
    assert found.holds is None
    assert found.reason.startswith("cannot be measured again from its parameters: ")
    assert reason in found.reason


def test_what_needs_a_device_that_is_not_here_is_told_and_is_no_failure():
    made = measured(measures.placed, device="cpu")
    assert repeat(made).holds
    elsewhere = replace(made, parameters={"device": "made_up"})
    assert repeat(elsewhere)[1:] == (None, "cannot be measured again here: needs a made_up")


def test_what_took_long_is_left_out_and_told(tmp_path):
    with Store(tmp_path / "store.db") as store:
        quick, slow = (replace(measured(measures.drawn, i=i), seconds=seconds) for i, seconds in ((0, 2.0), (1, 3.0)))
        store.add(quick, slow)
        started = []
        found = {each.record.key: each[1:] for each in repetitions(store, 9, at_most=2, on_start=started.append)}
        assert found[slow.key] == (None, "took longer than 2 s when it was measured")
        assert found[quick.key][0]
        assert [(record.key, record.seconds) for record in started] == [(quick.key, 2.0)]
        assert all(each.holds for each in repetitions(store, 9))


def test_a_sample_is_drawn_among_the_successes(tmp_path):
    with Store(tmp_path / "store.db") as store:
        store.add(*(measured(measures.drawn, i=i) for i in range(8)), record(100, failure="E: x"))
        store.add(*(record(i, function="gone.module:f") for i in range(3)))
        first = [each.record.key for each in repetitions(store, 4, seed=1) if each.holds]
        assert first == [each.record.key for each in repetitions(store, 4, seed=1) if each.holds]
        assert first != [each.record.key for each in repetitions(store, 4, seed=2) if each.holds]
        everything = [each.holds for each in repetitions(store, 100)]
    assert len(set(first)) == 4
    assert (everything.count(True), everything.count(None)) == (8, 3)
