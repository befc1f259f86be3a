"""From a claim to its answers: measured once, kept, measured again when asked, and known to be out of date."""

import time
from dataclasses import replace

import pytest

from ntkcheck import claims
from ntkcheck.measurement import FINITE, Measurement
from ntkcheck.regime.cells import normalizer_regime
from ntkcheck.stats import Estimate
from ntkcheck.store import Store, reference
from tests.claims.test_checks import experiment
from tests.regime import record

CALLS = []


def answers_itself(evidence, value=1.0):
    CALLS.append(value)
    return {"value": Estimate(value, 0.0, 0)}


def length_of_data(evidence):
    CALLS.append(evidence.data)
    return {"value": Estimate(float(len(evidence.data or "")), 0.0, 0)}


def draws(evidence):
    return {"value": Estimate(float(evidence.generator("draws").standard_normal()), 0.0, 0)}


def rests_on_networks(evidence):
    return {"value": evidence.find("none", "gradient_growth")}


def raises(evidence):
    CALLS.append(None)
    raise FloatingPointError("no answer")


def slow(evidence):
    time.sleep(0.2)
    return answers_itself(evidence)


def claim(check, id="XX-1", **changes):
    return claims.Claim(
        id,
        "The value is one.",
        "nowhere",
        (claims.Test("value", "the value", 0.9, 1.1),),
        paper="made_up",
        check=f"tests.claims.test_check:{check.__name__}",
        **changes,
    )


@pytest.fixture
def evidence():
    CALLS.clear()
    with Store(":memory:") as store:
        yield claims.Evidence(store, experiment())


def checked(claim, evidence, **options):
    return claims.check({claim.id: claim}, evidence, **options)[claim.id]


def same(one, other):
    """Records are compared by identity: these are one in the store."""
    return one.answers == other.answers and (one.record.key, one.record.started) == (
        other.record.key,
        other.record.started,
    )


def test_an_answer_is_measured_once_and_kept(evidence):
    asked = claim(answers_itself)
    assert claims.known(asked, evidence) == ({}, None)
    first = checked(asked, evidence)
    assert first.answers == {"value": Estimate(1.0, 0.0, 0)}
    assert same(checked(asked, evidence), first)
    assert same(claims.known(asked, evidence), first)
    assert CALLS == [1.0]
    assert claims.verdicts({"XX-1": asked}, {"XX-1": first.answers})["XX-1"].verdict == "supported"


def test_other_parameters_and_other_experiments_are_other_answers(evidence):
    checked(claim(answers_itself), evidence)
    assert checked(claim(answers_itself, parameters={"value": 2.0}), evidence).answers["value"].value == 2.0
    assert checked(claim(answers_itself, id="XX-2"), evidence).record.parameters["claim"] == "XX-2"
    checked(claim(answers_itself), replace(evidence, experiment=experiment(seed=1)))
    assert CALLS == [1.0, 2.0, 1.0, 1.0]
    assert (
        checked(claim(draws), evidence).answers
        != checked(claim(draws), replace(evidence, experiment=experiment(seed=1))).answers
    )


def test_a_claim_on_given_data_is_asked_again_with_others(evidence):
    asked = claim(length_of_data, command="ntkcheck claims check XX-1 --data PATH")
    first, second = (replace(evidence, data=data) for data in ("one", "three"))
    assert checked(asked, first).answers["value"].value == 3
    assert checked(asked, second).answers["value"].value == 5
    assert checked(asked, evidence).answers["value"].value == 5  # the last known
    assert CALLS == ["one", "three"]
    CALLS.clear()
    for given in (first, second):  # power: a claim that does not say --data keeps its answer
        assert checked(claim(answers_itself), given).answers["value"].value == 1
    assert CALLS == [1.0]


def test_a_fresh_check_replaces_the_answer_and_keeps_the_former(evidence):
    asked = claim(answers_itself)
    first = checked(asked, evidence).record
    fresh = checked(asked, evidence, fresh=True)
    second = fresh.record
    assert CALLS == [1.0, 1.0]
    assert second.started > first.started
    assert same(claims.known(asked, evidence), fresh)
    assert {r.started for r in evidence.store.records(superseded=True)} == {first.started, second.started}


def test_a_check_that_raises_is_a_record_with_its_reason_and_is_tried_again(evidence):
    asked = claim(raises)
    found = checked(asked, evidence)
    assert found.answers == {}
    assert found.record.failure.startswith("FloatingPointError: no answer")
    assert same(claims.known(asked, evidence), found)
    assert claims.verdicts({"XX-1": asked}, {})["XX-1"].verdict == "untested"
    checked(asked, evidence)
    assert CALLS == [None, None]


def test_a_check_that_finds_nothing_is_not_kept(evidence):
    asked = claim(rests_on_networks)
    assert checked(asked, replace(evidence, measures=False)) == ({}, None)
    assert claims.known(asked, evidence) == ({}, None)


def networks(evidence, value, started):
    cell = evidence.experiment.cell("none", FINITE)
    measurement = Measurement("gradient_growth", Estimate(value, 0.001, 10), "made up")
    return record([measurement], function=reference(normalizer_regime), parameters=cell, started=started)


def in_part(evidence):
    return answers_itself(evidence, 2.0) | {"growth": evidence.find("none", "gradient_growth")}


def asked_in_part():
    growth = claims.Test("growth", "the growth", 0.9, 1.1)
    return replace(claim(in_part), tests=(*claim(in_part).tests, growth))


def test_answers_that_lack_something_are_kept_and_judged_and_asked_for_again(evidence):
    asked, without = asked_in_part(), replace(evidence, measures=False)
    first = checked(asked, without)
    assert first.answers == {"value": Estimate(2.0, 0.0, 0)}
    assert same(claims.known(asked, evidence), first)
    # Outside its bounds: refuted, whatever the other would be, and not untested.
    assert (
        claims.verdicts({"XX-1": asked}, {"XX-1": claims.known(asked, evidence).answers})["XX-1"].verdict == "refuted"
    )
    assert claims.stale(asked, evidence) is None
    # Again, with the same answers: nothing new is kept.
    assert same(checked(asked, without), first)
    assert len(list(evidence.store.records(superseded=True))) == 1
    # With the rest: in the place of the former.
    evidence.store.add(networks(evidence, 1.0, "2020-01-01T00:00:00+00:00"))
    whole = checked(asked, without)
    assert set(whole.answers) == {"value", "growth"}
    assert same(claims.known(asked, evidence), whole)
    assert len(CALLS) == 3
    assert same(checked(asked, without), whole)
    assert len(CALLS) == 3


def test_answers_do_not_give_way_to_fewer(evidence, monkeypatch):
    asked = asked_in_part()
    evidence.store.add(networks(evidence, 1.0, "2020-01-01T00:00:00+00:00"))
    whole = checked(asked, replace(evidence, measures=False))
    monkeypatch.setattr(claims.Evidence, "find", lambda *_: None)
    assert same(checked(asked, evidence, fresh=True), whole)
    assert same(claims.known(asked, evidence), whole)


def test_a_verdict_is_stale_when_what_it_rests_on_was_measured_again(evidence):
    asked = claim(rests_on_networks)
    evidence.store.add(networks(evidence, 1.0, "2020-01-01T00:00:00+00:00"))
    found = checked(asked, evidence)
    assert found.answers["value"].value == 1.0
    assert [key for key, _ in claims.rests_on(found.record)] == [networks(evidence, 1.0, "").key]
    assert claims.stale(asked, evidence) is None
    evidence.store.replace(networks(evidence, 2.0, "2021-01-01T00:00:00+00:00"))
    assert claims.stale(asked, evidence).startswith("rests on measurements that were made again or are gone: ")


def test_a_verdict_is_stale_when_the_code_or_the_parameters_have_changed(evidence, monkeypatch):
    asked = claim(answers_itself)
    assert claims.stale(asked, evidence) is None  # never checked is not stale
    found = checked(asked, evidence).record
    assert claims.stale(asked, evidence) is None
    changed = claim(answers_itself, parameters={"value": 3.0})
    assert claims.stale(changed, evidence) == "checked with other parameters only"
    evidence.store.replace(replace(found, provenance=found.provenance | {"code": "0123"}))
    assert claims.stale(asked, evidence).startswith("rests on older code (")


def test_every_answer_is_in_the_store_before_the_next_check_begins(evidence):
    seen, asked = [], {f"XX-{i}": claim(slow if i else answers_itself, id=f"XX-{i}") for i in range(3)}
    claims.check(asked, evidence, threads=1, on_done=lambda id, done: seen.append((id, done, len(evidence.store))))
    assert seen == [("XX-0", 1, 1), ("XX-1", 2, 2), ("XX-2", 3, 3)]


def test_a_claim_without_a_check_is_left_alone(evidence):
    without = replace(claim(raises), check=None)
    assert checked(without, evidence) == ({}, None)
    assert claims.stale(without, evidence) is None
