"""SND of IterNorm against a loop over the published PyTorch module's operations: single anchors, and the mean at equal error.

Run as `uv run python -m benchmarks.snd --peer PYTHON`, PYTHON an interpreter that has PyTorch (2.13 was used): the peer runs in a
process of its own, in turns with ours. Without one, the same loop in NumPy takes its place. Batches of 256, 64 features, one group,
T = 5, 100 anchors x 200 draws, single precision throughout.
"""

import argparse
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from ntkcheck import snd

SAMPLES, FEATURES, BATCH, ITERATIONS = 20000, 64, 256, 5
ANCHORS, DRAWS, RUNS, PEER_ANCHORS = 100, 200, 5, 4


def numpy_loop(population: np.ndarray, anchors: int) -> tuple[float, float, float]:
    """Seconds, SND and its standard error by the module's operations in NumPy, one batch at a time."""
    rng, identity, found = np.random.default_rng(0), np.eye(FEATURES, dtype=population.dtype), []
    start = time.perf_counter()
    for anchor in range(anchors):
        outputs = []
        for _ in range(DRAWS):
            chosen = rng.integers(0, len(population), BATCH)
            chosen[0] = anchor
            x = population[chosen]
            centred = x - x.mean(axis=0)
            sigma = centred.T @ centred / BATCH
            trace = np.trace(sigma)
            p = identity
            for _ in range(ITERATIONS):
                p = 1.5 * p - 0.5 * (p @ p @ p @ (sigma / trace))
            outputs.append((centred @ (p / np.sqrt(trace)))[0])
        found.append(np.linalg.norm(outputs - np.mean(outputs, axis=0), axis=1).mean())
    return time.perf_counter() - start, float(np.mean(found)), float(np.std(found) / anchors**0.5)


def torch_loop(python: str) -> Callable[[int], tuple[float, float, float]]:
    """The peer in PyTorch, started once."""
    script = Path(__file__).with_name("iter_norm_torch.py")
    peer = subprocess.Popen([python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(anchors: int) -> tuple[float, float, float]:
        assert peer.stdin is not None
        assert peer.stdout is not None
        peer.stdin.write(f"{anchors} {DRAWS}\n")
        peer.stdin.flush()
        seconds, value, sem = map(float, peer.stdout.readline().split())
        return seconds, value, sem

    return measure


def main() -> None:
    """Print seconds and ratios; the peer measures a few anchors in each turn, and its time is scaled to all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="interpreter that has PyTorch; the loop in NumPy without one")
    python = parser.parse_args().peer
    population = np.random.default_rng(0).standard_normal((SAMPLES, FEATURES)).astype(np.float32)
    peer = torch_loop(python) if python else lambda anchors: numpy_loop(population, anchors)
    print(
        f"peer: {'PyTorch' if python else 'NumPy'}, {PEER_ANCHORS} anchors x {DRAWS} draws a turn, scaled to {ANCHORS}"
    )
    on_device = jax.numpy.asarray(population)

    def single(run):
        key = jax.random.key(run)
        return snd.per_anchor("iter_norm", on_device, on_device[:ANCHORS], BATCH, DRAWS, key=key, group_size=FEATURES)

    def mean(run):
        key = jax.random.key(run)
        return snd.disturbance("iter_norm", on_device, BATCH, ANCHORS, 16, key=key, group_size=FEATURES)

    for work, argument in ((single, 0), (mean, 0), (peer, 2)):  # compilation, and the peer's first calls
        work(argument)
    turns = [(_timed(peer, PEER_ANCHORS), _timed(single, run), _timed(mean, run)) for run in range(RUNS)]
    theirs = [found[0] * ANCHORS / PEER_ANCHORS for (_, found), _, _ in turns]
    per_anchor = [seconds for _, (seconds, _), _ in turns]
    print("per-anchor SND: seconds of the peer, ours, median ratio of the turns")
    print(
        f"  {_median(theirs):.2f} {_median(per_anchor):.4f} {_median(a / b for a, b in zip(theirs, per_anchor, strict=True)):.0f}"
    )
    deviation = peer(40)[2] * 40**0.5  # of SND over anchors, which makes the peer's error
    print("mean over anchors: seconds of the peer, ours, errors, ratio of (seconds x error^2)")
    error, ours = deviation / ANCHORS**0.5, [(seconds, found.sem) for *_, (seconds, found) in turns]
    ratios = [a * error**2 / (b * sem**2) for a, (b, sem) in zip(theirs, ours, strict=True)]
    seconds, sem = _median(b for b, _ in ours), _median(sem for _, sem in ours)
    print(f"  {_median(theirs):.2f} {seconds:.4f} {error:.4f} {sem:.4f} {_median(ratios):.0f}")
    values = [_median(f(found) for *_, found in column) for f, column in _values(turns)]
    print(f"values: peer {values[0]:.4f}, single anchors {values[1]:.4f}, mean {values[2]:.4f}")


def _values(turns):
    peer, single, mean = zip(*turns, strict=True)
    return [(lambda f: f[1], peer), (lambda f: float(f.value.mean()), single), (lambda f: f.value, mean)]


def _timed(work, argument):
    start = time.perf_counter()
    found = work(argument)
    return time.perf_counter() - start, found


def _median(numbers) -> float:
    return statistics.median(list(numbers))


if __name__ == "__main__":
    main()
