"""Memory of the compiled training step: what the compiler sets aside, and on a GPU what the device had in use at its peak."""

import json
import os
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ntkcheck.compilation import known_options
from ntkcheck.measurement import Measurement
from ntkcheck.reference.case import Case, first_device, placed, training_step
from ntkcheck.stats import Estimate

PEAK, COMPILERS = "device_peak_bytes", "compiler's account"
_CHILD = "from ntkcheck.reference import program; program.answer()"
# The calling process may hold most of the device's memory already: its child takes what it needs and no more.
_ON_DEMAND = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def measure(_: Array, precision: str, device: str, **case: Any) -> list[Measurement]:
    """Bytes of a training step by two accounts; neither is that of the residuals.

    temporary_bytes: arrays that the compiled program needs beside its arguments and results, by the compiler's account, which has
    recomputed, fused and laid out anew. argument_bytes: parameters, images and labels.
    device_peak_bytes: the largest memory in use on the device while a process has lived that did nothing but this step, by its
    allocator's own account, in which a peak is never taken back. CPUs have no such account. The derived key is not used: no
    account depends on values.

    Args:
        precision: Of convolutions and matrix products.
        device: "cpu" or "gpu".
        case: The fields of `Case`.

    Raises:
        RuntimeError: Where the process of its own ends without an account.
    """
    size, place = Case(**case), first_device(device)
    count = account if _peak(place) is None else _account_of_its_own_process
    method = f"training step, batch {size.batch}, {precision} precision on {place.device_kind}"
    by = {PEAK: "allocator's account, in a process of its own"}
    return [
        Measurement(name, Estimate(float(found), 0.0, 0), f"{method}; {by.get(name, COMPILERS)}")
        for name, found in count(size, precision, device).items()
    ]


def account(size: Case, precision: str, device: str) -> dict[str, int]:
    """Bytes by quantity, counted in this process; its peak where the device has an account of it and this step raised it.

    Args:
        size: The model and its batch.
        precision: Of convolutions and matrix products.
        device: "cpu" or "gpu".
    """
    with placed(device) as place:
        labels = jax.ShapeDtypeStruct((size.batch,), jnp.int32)
        step = jax.jit(training_step(precision), donate_argnums=0, compiler_options=known_options())
        program = step.lower(size.shapes(), size.images(), labels).compile()
        by_compiler: Any = program.memory_analysis()
        found = {
            "temporary_bytes": by_compiler.temp_size_in_bytes,
            "argument_bytes": by_compiler.argument_size_in_bytes,
        }
        before = _peak(place)
        if before is not None:
            x = jax.random.normal(jax.random.key(0), size.images().shape, jnp.float32)
            jax.block_until_ready(program(size.network(0, 0), x, size.labels(0)))
            after = _peak(place) or 0
            found |= {PEAK: after} if after > before else {}
        return found


def answer() -> None:
    """What the child process does: the account of the step that its last argument tells, as JSON."""
    case, precision, device = json.loads(sys.argv[-1])
    sys.stdout.write(json.dumps(account(Case(*case), precision, device)))


def _account_of_its_own_process(size: Case, precision: str, device: str) -> dict[str, int]:
    command = [sys.executable, "-c", _CHILD, json.dumps([size, precision, device])]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | _ON_DEMAND)
    if ended.returncode:
        last = ended.stderr.strip().rpartition("\n")[2] or f"exit code {ended.returncode}"
        raise RuntimeError(
            f"the training step did not run in a process of its own ({last}); where the device's memory was short, start again "
            "with XLA_PYTHON_CLIENT_PREALLOCATE=false, which leaves the child what this process does not use."
        )
    return json.loads(ended.stdout)


def _peak(place: Any) -> int | None:
    return (place.memory_stats() or {}).get("peak_bytes_in_use")
