"""Answer claims from the store, measure what it lacks, and judge the answers together."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array

from ntkcheck.claims.evidence import Answers, Evidence
from ntkcheck.claims.judge import LEVEL, Claim, Verdict, judge
from ntkcheck.measurement import Measurement
from ntkcheck.stats import Estimate, bonferroni_level
from ntkcheck.store import Record, code_of, key_of, resolve
from ntkcheck.sweep import recorded

LEAST_BATCH = 4  # gradients and NTK of smaller batches are infinite under BatchNorm


class Checked(NamedTuple):
    """What is known of a claim.

    Attributes:
        answers: Estimate by test; no entry where it was not measured.
        record: Where the answers are kept; None where there are none. Where a stated test is missing it is asked for again.
    """

    answers: Answers
    record: Record | None


def known(claim: Claim, evidence: Evidence) -> Checked:
    """The claim's answers that the store has; none where it was not checked, or its check failed."""
    record = evidence.store.find(_key(claim, evidence)) if claim.check else None
    return Checked(_answers(record), record) if record else Checked({}, None)


def check(
    claims: Mapping[str, Claim],
    evidence: Evidence,
    threads: int = 1,
    fresh: bool = False,
    on_done: Callable[[str, int], object] = lambda id, done: None,
) -> dict[str, Checked]:
    """Answer claims, measuring what the store lacks; every answer is in the store before the next one is begun.

    Args:
        claims: By identifier; those without a check have no answers.
        evidence: Store and experiment.
        threads: Checks at the same time, so that one compiles while the other computes. More than one only where no check
            decomposes matrices: two batched decompositions can wait for each other for ever (jaxlib 0.10.2, CPU).
        fresh: Check again what was checked already; the former answers are kept as superseded. Claims on given data (their
            `command` says --data) are always checked again where data are given: which ones is not in their key.
        on_done: Called with a claim's identifier and the number of claims that are done.
    """
    found = {id: Checked({}, None) if fresh else known(claim, evidence) for id, claim in claims.items()}
    executor = ThreadPoolExecutor(threads)
    try:
        lacking = [id for id, claim in claims.items() if claim.check and _is_asked(claim, found[id], evidence)]
        futures = {executor.submit(_measure, claims[id], evidence.for_one_check(), fresh): id for id in lacking}
        for done, future in enumerate(as_completed(futures), start=len(claims) - len(lacking) + 1):
            found[futures[future]] = future.result()
            on_done(futures[future], done)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
    return found


def verdicts(claims: Mapping[str, Claim], answers: Mapping[str, Answers], level: float = LEVEL) -> dict[str, Verdict]:
    """Judge claims together: every interval at a level corrected for the number of intervals with sampling noise.

    Args:
        claims: By identifier.
        answers: Estimates by test, by claim; a claim without answers is untested.
        level: With which all intervals hold together.
    """
    count = sum(len(_noisy(claim, answers.get(id, {}))) for id, claim in claims.items())
    corrected = bonferroni_level(level, max(1, count))
    return {id: judge(claim, answers.get(id, {}), corrected) for id, claim in claims.items()}


def stale(claim: Claim, evidence: Evidence) -> str | None:
    """Why the claim's verdict rests on something older than what would be measured now, or None."""
    if not claim.check:
        return None
    record, function = known(claim, evidence).record, _function(claim)
    if record is None:
        others = next(evidence.store.records(function=function, where={"claim": claim.id}), None)
        return "checked with other parameters only" if others else None
    if record.provenance["code"] != code_of(function):
        return f"rests on older code ({record.provenance['revision']}, {record.started})"
    changed = [key[:12] for key, started in rests_on(record) if not _is_current(evidence, key, started)]
    return f"rests on measurements that were made again or are gone: {', '.join(changed)}" if changed else None


def rests_on(record: Record) -> list[tuple[str, str]]:
    """Keys of the records that a check used, each with the time when it was made."""
    items = record.provenance.get("rests_on", "").split()
    return [(key, started) for key, _, started in (item.partition("@") for item in items)]


def _measure(claim: Claim, evidence: Evidence, fresh: bool) -> Checked:
    if evidence.batch_size < LEAST_BATCH:
        return Checked({}, None)
    function = _function(claim)
    answers: Answers = {}

    @np.errstate(divide="ignore", invalid="ignore")  # what breaks down is recorded as such
    def measurements(_: Array) -> list[Measurement]:
        answers.update(resolve(function)(evidence, **claim.parameters))
        method = f"check of {claim.id}"
        return [Measurement(name, found, method) for name, found in answers.items() if found is not None]

    record = _resting_on(recorded(function, _parameters(claim, evidence), measurements), evidence)
    former, found = known(claim, evidence), Checked(_answers(record), record)
    if answers and not (found.answers and _stated(claim, former) <= _stated(claim, found)):
        return former  # which knows more
    is_same = former.record and former.record.provenance == record.provenance and former.answers == found.answers
    if answers and is_same and not fresh:
        return former
    keep = evidence.store.replace if fresh or former.record else evidence.store.add
    (kept,) = keep(record)
    return Checked(_answers(kept), kept)


def _stated(claim: Claim, checked: Checked) -> set[str]:
    """The stated tests that are answered."""
    return {test.name for test in claim.tests if not test.weaker and test.name in checked.answers}


def _is_asked(claim: Claim, checked: Checked, evidence: Evidence) -> bool:
    """Whether a stated test has no answer (a check that failed has none at all), or answers are those of other data perhaps."""
    is_lacking = len(_stated(claim, checked)) < sum(not test.weaker for test in claim.tests)
    return is_lacking or (evidence.data is not None and "--data" in claim.command)


def _function(claim: Claim) -> str:
    """The check's reference; a file stands beside the claim's own."""
    assert claim.check
    file, _, name = claim.check.rpartition(":")
    return f"{Path(claim.folder) / file}:{name}" if claim.folder and file.endswith(".py") else claim.check


def _parameters(claim: Claim, evidence: Evidence) -> dict[str, Any]:
    return {"claim": claim.id, "experiment": evidence.experiment.options, "parameters": claim.parameters}


def _key(claim: Claim, evidence: Evidence) -> str:
    return key_of(_function(claim), _parameters(claim, evidence))


def _answers(record: Record) -> Answers:
    return {m.quantity: m.estimate for m in record.measurements if isinstance(m.estimate, Estimate)}


def _resting_on(record: Record, evidence: Evidence) -> Record:
    """The record with the measurements that the check used, each by its key and the time when it was made."""
    used = " ".join(f"{key}@{used.started}" for key, used in evidence.used.items())
    return replace(record, provenance={**record.provenance, "rests_on": used})


def _is_current(evidence: Evidence, key: str, started: str) -> bool:
    found = evidence.store.find(key)
    return found is not None and found.started == started


def _noisy(claim: Claim, found: Answers) -> list[str]:
    estimates = {test.name: found.get(test.name) for test in claim.tests}
    return [name for name, estimate in estimates.items() if estimate is not None and estimate.sem > 0]
