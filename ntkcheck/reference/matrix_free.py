"""The largest eigenvalues and the trace of a batch's NTK by products with vectors, where the kernel itself is too large."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ntkcheck.empirical import largest_eigenvalues, ntk_trace
from ntkcheck.measurement import Measurement, Series
from ntkcheck.reference.case import Case, forward, placed_alone
from ntkcheck.reference.images import load_checked

COUNT = 4
STEPS = 16
PROBES = 16


def measure(
    key: Array, data: str, inputs: str, seed: int, precision: str, device: str, logits: str, **case: Any
) -> list[Measurement]:
    """Ritz values of one network's NTK by the Lanczos iteration, and its trace by random signs; errors are those of the method.

    The memory is that of a few forward and backward passes. Arguments as for `ntk.measure`; the key is that of the vectors.
    """
    size = Case(**case)
    images = load_checked(data, size.batch, size.image, seed, inputs)
    output = 0 if logits == "one" else None
    lanczos_key, trace_key = jax.random.split(key)
    with placed_alone(device):
        network = forward(precision), size.network(seed, 0), jnp.asarray(images.x)
        options: dict[str, Any] = {"output": output, "precision": precision}
        count = min(COUNT, size.batch)
        ritz = largest_eigenvalues(lanczos_key, *network, count=count, steps=STEPS, **options)
        trace = ntk_trace(trace_key, *network, probes=PROBES, **options)
    method = f"one network, {size.batch} images, {precision} precision on {device}"
    largest = Series(ritz.values, ritz.residuals, STEPS, np.arange(1, count + 1))
    return [
        Measurement(f"ntk_{logits}_largest_eigenvalues", largest, f"{method}; {STEPS} Lanczos steps, error: residual"),
        Measurement(f"ntk_{logits}_trace", trace, f"{method}; {PROBES} random sign vectors"),
    ]
