"""Confidence intervals that do not rest on a normal mean: of a share, and of any statistic by resampling."""

import math
import warnings
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy import stats

from ntkcheck.stats.arguments import check_level, finite_vector
from ntkcheck.stats.estimate import Interval

_RESAMPLED_VALUES_AT_ONCE = 2**22


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> Interval:
    """The interval of a share: every p with |successes / trials - p| <= z sqrt(p (1 - p) / trials).

    Source: Wilson 1927, Probable inference, the law of succession, and statistical inference.

    Args:
        successes: how many of the trials came out, 0 to `trials`.
        trials: how many independent trials were made, at least 1.
        level: the nominal coverage, in (0, 1); z is the normal quantile of (1 + level) / 2.

    Raises:
        ValueError: for counts that are not counts, or a level outside (0, 1).
    """
    check_level(level)
    if trials < 1:
        raise ValueError(f"`trials` must be at least 1, got {trials}; make a trial first.")
    if not 0 <= successes <= trials:
        raise ValueError(f"`successes` must lie between 0 and `trials`={trials}, got {successes}; check the order.")
    share = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    return Interval(float(share.low), float(share.high))


def bootstrap_interval(
    samples: Float[np.ndarray, " samples"],
    statistic: Callable[..., Float[np.ndarray, "..."] | float],
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 9999,
) -> Interval:
    """The bias-corrected and accelerated bootstrap interval of a statistic.

    Source: Efron 1987, Better bootstrap confidence intervals.

    Args:
        samples: at least two independent, identically distributed finite values.
        statistic: a function of a vector; one that takes `axis` too (`numpy.median`) is called once on many resamples.
        level: the nominal coverage, in (0, 1); it is reached as the number of samples grows.
        seed: of the resampling; the same seed gives the same interval.
        resamples: how many resamples are drawn.

    Raises:
        ValueError: for bad samples or level, and where the statistic is not finite or the same for all resamples.

    Assumes:
        independent samples, and a statistic that is smooth in them.
    """
    check_level(level)
    x = finite_vector("samples", samples, fewest=2)
    if resamples < 1:
        raise ValueError(f"`resamples` must be at least 1, got {resamples}; 9999 is usual.")
    # Resamples that are all alike make the acceleration 0 / 0; scipy's warnings of it become the error below.
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (x,),
            statistic,
            n_resamples=resamples,
            batch=max(1, _RESAMPLED_VALUES_AT_ONCE // len(x)),
            confidence_level=level,
            rng=np.random.default_rng(seed),
        )
    low, high = (float(end) for end in result.confidence_interval)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(
            f"`statistic` must be finite and vary over resamples, got {statistic(x)} with an interval {low} to {high}; "
            "use `wilson_interval` for a share, or take more samples."
        )
    return Interval(low, high)
