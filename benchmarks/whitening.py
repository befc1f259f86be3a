"""What whitening costs beside a 3 x 3 convolution on the same activations (claim IN-8): medians of interleaved rounds.

Run as `uv run python -m benchmarks.whitening [gpu]`; 64 images of 8 x 8 positions, float32, one group of all channels, T = 5.
"""

import functools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ntkcheck import normalizers
from ntkcheck.claims.cost import IMAGES, ITERATIONS, SIDE, convolution

CHANNELS, ROUNDS = (64, 256, 512), 9


def contenders(features: int, device: Any) -> dict[str, Callable[[], jax.Array]]:
    """Compiled calls by name."""
    keys = jax.random.split(jax.random.key(features))
    x = jax.device_put(jax.random.normal(keys[0], (IMAGES * SIDE**2, features), np.float32), device)
    kernel = jax.device_put(jax.random.normal(keys[1], (3, 3, features, features), np.float32), device)
    options = {"group_size": features, "iterations": ITERATIONS}
    return {
        "IterNorm, coupled form": functools.partial(jax.jit(functools.partial(normalizers.iter_norm, **options)), x),
        "IterNorm, the paper's form": functools.partial(
            jax.jit(functools.partial(normalizers.iter_norm_paper, **options)), x
        ),
        "ZCA by eigh": functools.partial(jax.jit(functools.partial(normalizers.zca, group_size=features)), x),
        "3 x 3 convolution": functools.partial(jax.jit(convolution), x.reshape(IMAGES, SIDE, SIDE, features), kernel),
    }


def medians(calls: dict[str, Callable[[], jax.Array]]) -> dict[str, float]:
    """Seconds of each call, taken in turns after one round that compiles."""
    rounds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call().block_until_ready()
            rounds[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds[1:]) for name, seconds in rounds.items()}


if __name__ == "__main__":
    device = jax.devices(sys.argv[1] if len(sys.argv) > 1 else "cpu")[0]
    print(f"{device.device_kind}: seconds, and times the convolution's (medians of {ROUNDS} interleaved rounds)")
    for channels in CHANNELS:
        seconds = medians(contenders(channels, device))
        for name, median in seconds.items():
            print(f"{channels:4} channels  {name:27} {median:.5f}  {median / seconds['3 x 3 convolution']:.2f}")
