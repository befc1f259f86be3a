"""The empirical NTK of one batch of a reference model, and its spectrum."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ntkcheck import kernels
from ntkcheck.empirical import empirical_ntk
from ntkcheck.measurement import Measurement, series, summarize
from ntkcheck.reference.case import Case, forward, placed_alone
from ntkcheck.reference.images import load_checked

LOGITS = ("one", "all")


def measure(
    _: Array,
    data: str,
    inputs: str,
    seed: int,
    seeds: int,
    precision: str,
    device: str,
    logits: str,
    memory: int | None,
    **case: Any,
) -> list[Measurement]:
    """Spectrum and summary of the exact NTK at initialisation, all parameters counted, of the first logit or traced over logits.

    spectrum: eigenvalues, largest first. condition_number: largest over smallest, infinite where the smallest is within rounding of
    0 (as behind an output normaliser, which removes two directions of every logit). largest_share: largest over trace.
    off_diagonal: mean off-diagonal over mean diagonal entry. mean_diagonal: trace over batch.

    Args:
        data: As `images.load` takes it.
        inputs: Digest of the images.
        seed: Of weights and images.
        seeds: Random networks; their scatter is the standard error.
        precision: Of convolutions and matrix products.
        device: "cpu" or "gpu".
        logits: "one" or "all", the trace.
        memory: Bytes that the program may take, or None.
        case: The fields of `Case`.
    """
    size = Case(**case)
    images = load_checked(data, size.batch, size.image, seed, inputs)
    with placed_alone(device):
        found = [_kernel(size, i, jnp.asarray(images.x), seed, precision, logits, memory) for i in range(seeds)]
    ntk = np.stack(found)
    spectrum = np.linalg.eigvalsh(ntk.astype(np.float64))[:, ::-1]
    what = "first logit" if logits == "one" else f"trace over {size.classes} logits"
    method = f"{what}, {seeds} networks, {size.batch} images, {precision} precision on {device}"
    summary = {
        "condition_number": kernels.condition_number(ntk),
        "largest_share": kernels.largest_share(ntk),
        "off_diagonal": kernels.normalized_off_diagonal(ntk),
        "mean_diagonal": np.trace(ntk, axis1=1, axis2=2) / size.batch,
    }
    prefix = f"ntk_{logits}_"
    return [
        Measurement(f"{prefix}spectrum", series(spectrum, np.arange(1, size.batch + 1)), method),
        *(Measurement(prefix + quantity, summarize(values), method) for quantity, values in summary.items()),
    ]


def _kernel(size: Case, index: int, x: Array, seed: int, precision: str, logits: str, memory: int | None) -> np.ndarray:
    model = size.network(seed, index)
    kernel = empirical_ntk(
        forward(precision),
        model,
        x,
        output=0 if logits == "one" else None,
        batch_coupled=model.couples_batch,
        memory=memory,
        precision=precision,
    )
    return np.asarray(kernel)
