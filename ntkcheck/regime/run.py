"""The run: every normaliser in infinite and finite width, then the claims; each stage is kept as soon as it is done."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ntkcheck import claims
from ntkcheck.measurement import Measurements
from ntkcheck.regime import finite, theory
from ntkcheck.regime.curves import Curve
from ntkcheck.regime.settings import Experiment
from ntkcheck.regime.verdict import Regime, regimes

LEVEL = 0.95
# Normalisers without batched factorisations: two of those at the same time can wait for each other for ever (jaxlib 0.10.2, CPU).
OVERLAPPING = {"none", "weight_mean", "batch_norm", "layer_norm", "iter_norm"}


@dataclass
class Result:
    """What a run has found so far.

    Attributes:
        experiment: What was asked.
        measurements: Every number.
        curves: Quantities through depth.
        answers: Estimates by claim and test.
        seconds: Duration of each stage.
        complete: Whether every stage is done.
    """

    experiment: Experiment
    measurements: Measurements = field(default_factory=Measurements)
    curves: list[Curve] = field(default_factory=list)
    answers: dict[str, claims.Answers] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    complete: bool = False

    def regimes(self) -> dict[str, dict[str, Regime]]:
        """Regime of each normaliser by respect."""
        depth = self.experiment.settings.depth
        return {name: regimes(self.measurements, name, depth, LEVEL) for name in self.experiment.networks}

    def verdicts(self) -> dict[str, claims.Verdict]:
        """Verdicts on the claims that have been checked so far, judged together."""
        return claims.verdicts(self.answers, LEVEL)


def run(
    result: Result,
    claim_ids: tuple[str, ...] = (),
    on_stage: Callable[[str, int, int], None] = lambda name, done, total: None,
    on_change: Callable[[Result], object] = lambda result: None,
) -> Result:
    """Measure every normaliser, then check the claims; two stages at a time, as one compiles while the other computes.

    Args:
        result: A new `Result(prepare(settings))`; filled stage by stage, so that an interruption leaves what was measured.
        claim_ids: Claims to check; by default none.
        on_stage: Called with the name of the stage that is waited for, the number of stages done and of all; "done" at the end.
        on_change: Called with the result after each stage, so that what was measured can be kept.
    """
    sides = {
        f"{name}, {side} width": (measure, result.experiment, name)
        for name in result.experiment.networks
        for side, measure in SIDES.items()
    }
    total = len(sides) + len(claim_ids)
    executor = ThreadPoolExecutor(max_workers=2 if set(result.experiment.networks) <= OVERLAPPING else 1)

    def in_order(stages):
        futures = {stage: executor.submit(_timed, *work) for stage, work in stages.items()}
        for stage, future in futures.items():
            on_stage(stage, len(result.seconds), total)
            found, result.seconds[stage] = future.result()
            yield found

    try:
        for measurements, curves in in_order(sides):
            result.curves += curves
            _keep(result, measurements, on_change)
        evidence = _evidence(result)
        checks = {f"claim {id}": (claims.measure, id, evidence) for id in claim_ids}
        for id, (answers, measurements) in zip(claim_ids, in_order(checks), strict=True):
            result.answers[id] = answers
            _keep(result, measurements, on_change)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
    result.complete = True
    on_stage("done", total, total)
    on_change(result)
    return result


SIDES = {"infinite": theory.measure, "finite": finite.measure}


def _timed(work, *arguments):
    start = time.perf_counter()
    return work(*arguments), time.perf_counter() - start


def _keep(result, measurements, on_change):
    for measurement in measurements:
        result.measurements.add(measurement)
    on_change(result)


def _evidence(result: Result) -> claims.Evidence:
    """What the checks may use; the claims speak of wide, deep ReLU networks at He's variance: others are no evidence."""
    experiment = result.experiment
    found = result.measurements if experiment.is_the_papers else Measurements()
    return claims.Evidence(found, experiment.batches, experiment.settings.depth, experiment.settings.seed)
