"""Wall time of a forward pass and of a training step."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck.compilation import known_options
from ntkcheck.measurement import Measurement, Series
from ntkcheck.reference.case import Case, forward, placed_alone, training_step
from ntkcheck.stats import Estimate

RESAMPLES = 1000


def measure(key: Array, repetitions: int, precision: str, device: str, **case: Any) -> list[Measurement]:
    """Seconds of a compiled forward pass and of a training step (gradient descent), each repetition waited for.

    *_seconds: every repetition; *_median: their median, with a standard error by the bootstrap; *_spread: interquartile range.
    Compilation and a first call are not counted; images are Gaussian, and what is on the device stays there.

    Args:
        key: Of weights, images and resamples.
        repetitions: Calls that are timed.
        precision: Of convolutions and matrix products.
        device: "cpu" or "gpu".
        case: The fields of `Case`.
    """
    size = Case(**case)
    with placed_alone(device) as place:
        x = jax.random.normal(key, size.images().shape, jnp.float32)
        model, labels = size.network(0, 0), size.labels(0)
        calls = {
            "forward": (forward(precision), (model, x)),
            "training_step": (training_step(precision), (model, x, labels)),
        }
        options = known_options()
        seconds = {
            name: _seconds(jax.jit(function, compiler_options=options), arguments, repetitions)
            for name, (function, arguments) in calls.items()
        }
    method = f"{repetitions} repetitions, batch {size.batch}, {precision} precision on {place.device_kind}"
    return [found for name, times in seconds.items() for found in _summary(name, times, method)]


def _seconds(
    call: Callable[..., Any], arguments: tuple[Any, ...], repetitions: int
) -> Float[np.ndarray, " repetitions"]:
    jax.block_until_ready(call(*arguments))

    def once() -> float:
        start = time.perf_counter()
        jax.block_until_ready(call(*arguments))
        return time.perf_counter() - start

    return np.array([once() for _ in range(repetitions)])


def _summary(name: str, seconds: Float[np.ndarray, " repetitions"], method: str) -> list[Measurement]:
    count = len(seconds)
    resampled = np.random.default_rng(0).choice(seconds, (RESAMPLES, count))
    median = Estimate(float(np.median(seconds)), float(np.median(resampled, axis=1).std(ddof=1)), count)
    low, high = np.percentile(seconds, (25, 75))
    spread = Estimate(float(high - low), 0.0, 0)
    return [
        Measurement(f"{name}_seconds", Series(seconds, np.zeros(count), count, np.arange(count)), method),
        Measurement(f"{name}_median", median, f"{method}; error by the bootstrap"),
        Measurement(f"{name}_spread", spread, f"{method}; interquartile range of these repetitions"),
    ]
