"""Wall time of whitenings and of a convolution on the same activations, interleaved in one run."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from ntkcheck import normalizers
from ntkcheck.measurement import Measurement, Series

IMAGES, SIDE = 64, 8  # 4096 samples
ITERATIONS = 5


def forward_times(key: Array, features: int, repetitions: int, tries: int, device: str) -> list[Measurement]:
    """Seconds of IterNorm, of ZCA by eigen-decomposition and of a 3 x 3 convolution: each repetition runs the three in turn.

    Compiled, in float32, channels last, the layout in which all of them are fast; a first round is not counted.

    Source: claim IN-8.

    Args:
        key: Of activations and kernel.
        features: d, the channels that go in and come out; the whitenings have one group of all.
        repetitions: Rounds that are timed.
        tries: Calls in a row, the fastest of which counts: other programs of the machine only add to times.
        device: The platform as JAX names it, cpu or gpu.
    """
    place = jax.devices(device)[0]
    calls = _calls(key, features, place)
    rounds = np.array([[_seconds(call, tries) for call in calls.values()] for _ in range(repetitions + 1)])[1:]
    none, at = np.zeros(repetitions), np.arange(repetitions)
    return [
        Measurement(
            name,
            Series(seconds, none, repetitions, at),
            f"{repetitions} repetitions, the fastest of {tries} calls each, on {place.device_kind}",
        )
        for name, seconds in zip(calls, rounds.T, strict=True)
    ]


def _calls(key: Array, features: int, place: Any) -> dict[str, Callable[[], Array]]:
    x_key, kernel_key = jax.random.split(key)
    x, kernel = (
        jax.device_put(jax.random.normal(key, shape, np.float32), place)
        for key, shape in ((x_key, (IMAGES * SIDE**2, features)), (kernel_key, (3, 3, features, features)))
    )
    iter_norm = functools.partial(normalizers.iter_norm, group_size=features, iterations=ITERATIONS)
    zca = functools.partial(normalizers.zca, group_size=features)
    images = x.reshape(IMAGES, SIDE, SIDE, features)
    return {
        "iter_norm": functools.partial(jax.jit(iter_norm), x),
        "zca": functools.partial(jax.jit(zca), x),
        "convolution": functools.partial(jax.jit(convolution), images, kernel),
    }


def convolution(images: Array, kernel: Array) -> Array:
    """3 x 3, stride 1, channels last."""
    return jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _seconds(call: Callable[[], Array], tries: int) -> float:
    clock = [time.perf_counter()]
    for _ in range(tries):
        call().block_until_ready()
        clock.append(time.perf_counter())
    return float(np.min(np.diff(clock)))
