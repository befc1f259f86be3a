"""Memory of the compiled training step: what the compiler sets aside, and on a GPU what the device had in use at its peak."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ntkcheck.compilation import known_options
from ntkcheck.measurement import Measurement
from ntkcheck.reference.case import Case, placed, training_step
from ntkcheck.stats import Estimate


def measure(key: Array, precision: str, device: str, **case: Any) -> list[Measurement]:
    """Bytes of a training step by two accounts; neither is that of the residuals.

    temporary_bytes: arrays that the compiled program needs beside its arguments and results, by the compiler's account, which has
    recomputed, fused and laid out anew. argument_bytes: parameters, images and labels.
    device_peak_bytes: the largest memory in use on the device while the process has lived, its allocator's own account; kept where
    this step raised it, else missing. CPUs have no such account.

    Args:
        key: Of images.
        precision: Of convolutions and matrix products.
        device: "cpu" or "gpu".
        case: The fields of `Case`.
    """
    size = Case(**case)
    with placed(device) as place:
        labels = jax.ShapeDtypeStruct((size.batch,), jnp.int32)
        step = jax.jit(training_step(precision), donate_argnums=0, compiler_options=known_options())
        program = step.lower(size.shapes(), size.images(), labels).compile()
        account: Any = program.memory_analysis()
        method = f"training step, batch {size.batch}, {precision} precision on {place.device_kind}"
        by_compiler = f"{method}; compiler's account"
        return [
            Measurement("temporary_bytes", Estimate(float(account.temp_size_in_bytes), 0.0, 0), by_compiler),
            Measurement("argument_bytes", Estimate(float(account.argument_size_in_bytes), 0.0, 0), by_compiler),
            *_device_peak(program, size, key, place, method),
        ]


def _device_peak(program: Any, size: Case, key: Array, place: Any, method: str) -> list[Measurement]:
    before = _peak(place)
    if before is None:
        return []
    x = jax.random.normal(key, size.images().shape, jnp.float32)
    jax.block_until_ready(program(size.network(0, 0), x, size.labels(0)))
    after = _peak(place)
    if after is None or after <= before:
        return []
    return [Measurement("device_peak_bytes", Estimate(float(after), 0.0, 0), f"{method}; allocator's account")]


def _peak(place: Any) -> int | None:
    return (place.memory_stats() or {}).get("peak_bytes_in_use")
