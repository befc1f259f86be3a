"""Infinite width: plain ReLU against neural-tangents, and BatchNorm + ReLU by quadrature; medians of interleaved runs.

Run as `uv run python -m benchmarks.infinite_width`. Times are wall-clock seconds on whatever device JAX finds.
"""

import statistics
import time

import jax
import numpy as np

from ntkcheck import meanfield
from ntkcheck.nt_adapter import load

DEPTH, RUNS = 50, 11


def ours(x):
    """Plain ReLU at He's variance."""
    return jax.block_until_ready(meanfield.propagate(x, DEPTH, "none", "relu", 2**0.5))


def peer(x):
    """The same network's jitted kernel function in neural-tangents, ready to call."""
    stax = load().stax
    layers = [stax.Dense(1, W_std=2**0.5, b_std=None), stax.Relu()] * DEPTH
    kernel = jax.jit(stax.serial(*layers, stax.Dense(1, W_std=2**0.5, b_std=None))[2], static_argnames="get")
    return lambda: jax.block_until_ready(kernel(x, None, get=("nngp", "ntk")))


def seconds(work) -> float:
    """Duration of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print first-call and later times, their ratios, and how far the kernels differ."""
    jax.config.update("jax_enable_x64", True)
    x = np.random.default_rng(0).standard_normal((256, 64))
    theirs = peer(jax.numpy.asarray(x))
    first = seconds(lambda: ours(x)), seconds(theirs)
    pairs = [(seconds(lambda: ours(x)), seconds(theirs)) for _ in range(RUNS)]
    later = [statistics.median(times) for times in zip(*pairs, strict=True)]
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"plain ReLU, depth {DEPTH}, {len(x)} inputs, float64, seconds: ntkcheck, neural-tangents, ratio")
    print(f"  first call, compilation included: {first[0]:.4f} {first[1]:.4f} {first[1] / first[0]:.1f}")
    print(f"  later calls, median of {RUNS}: {later[0]:.4f} {later[1]:.4f} {ratio:.1f}")
    mine, other = (np.asarray(kernel.ntk) for kernel in (ours(x), theirs()))
    off_diagonal = ~np.eye(len(x), dtype=bool)  # the peer's diagonal is known to be off by 2e-7
    difference = np.linalg.norm((mine - other)[off_diagonal]) / np.linalg.norm(other)
    print(f"  relative difference of the NTKs off the diagonal: {difference:.1e}")
    _batch_norm(x[:32])


def _batch_norm(x) -> None:
    def network():
        return jax.block_until_ready(meanfield.propagate(x, DEPTH, "batch_norm"))

    compiled = seconds(network)
    times = [seconds(network) for _ in range(RUNS)]
    print(
        f"BatchNorm + ReLU, B = {len(x)}, {DEPTH} layers, seconds: first call {compiled:.2f}, later {statistics.median(times):.4f}"
    )


if __name__ == "__main__":
    main()
