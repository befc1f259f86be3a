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
    """Measure every normaliser, two stages at a time (one compiles while the other computes), then check the claims.

    Args:
        result: A new `Result(prepare(settings))`; filled stage by stage, so that an interruption leaves what was measured.
        claim_ids: Claims to check; by default none.
        on_stage: Called with the name of the stage that is waited for, the number of stages done and of all.
        on_change: Called with the result after each stage, so that what was measured can be kept.
    """
    sides = [
        (f"{name}, {side} width", measure, name)
        for name in result.experiment.networks
        for side, measure in SIDES.items()
    ]
    total = len(sides) + len(claim_ids)
    executor = ThreadPoolExecutor(max_workers=2)
    try:
        futures = [executor.submit(_timed, measure, result.experiment, name) for _, measure, name in sides]
        for (stage, _, _), future in zip(sides, futures, strict=True):
            on_stage(stage, len(result.seconds), total)
            (measurements, curves), result.seconds[stage] = future.result()
            result.curves += curves
            _keep(result, measurements, on_change)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
    for claim_id in claim_ids:
        on_stage(f"claim {claim_id}", len(result.seconds), total)
        (answers, measurements), result.seconds[f"claim {claim_id}"] = _timed(
            claims.measure, claim_id, _evidence(result)
        )
        result.answers[claim_id] = answers
        _keep(result, measurements, on_change)
    result.complete = True
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
    """What the checks may use; the claims speak of ReLU at He's variance, so other networks are no evidence."""
    experiment = result.experiment
    found = result.measurements if experiment.is_the_papers else Measurements()
    return claims.Evidence(found, experiment.batches, experiment.settings.width, experiment.settings.seed)
