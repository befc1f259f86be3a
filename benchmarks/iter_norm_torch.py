"""The peer of `benchmarks.snd`: SND by a loop over the published IterNorm module's operations in PyTorch, one batch at a time.

Imports nothing of ntkcheck, so that it runs in an environment of its own. It reads a line "anchors draws" from standard input,
measures SND of as many anchors, and writes the seconds, SND and its standard error over anchors; and so on until the input ends.
"""

import sys
import time

import torch  # pyright: ignore[reportMissingImports]

SAMPLES, FEATURES, BATCH, ITERATIONS = 20000, 64, 256, 5


def iter_norm(x, iterations):
    """The forward pass of `iterative_normalization_py` in training, one group, eps = 0, without its bookkeeping for the backward.

    Source: the code published with IterNorm (arXiv 1904.03441), iterative_normalization.py.
    """
    features, batch = x.shape[1], x.shape[0]
    x = x.transpose(0, 1).contiguous().view(1, features, -1)
    centred = x - x.mean(-1, keepdim=True)
    p = torch.eye(features).expand(1, features, features)
    sigma = torch.baddbmm(p, centred, centred.transpose(1, 2), beta=0.0, alpha=1.0 / batch)
    reciprocal = (sigma * p).sum((1, 2), keepdim=True).reciprocal_()
    normalized = sigma * reciprocal
    for _ in range(iterations):
        p = torch.baddbmm(p, torch.matrix_power(p, 3), normalized, beta=1.5, alpha=-0.5)
    whitening = p.mul_(reciprocal.sqrt())
    return whitening.matmul(centred).view(features, batch).transpose(0, 1).contiguous()


@torch.no_grad()
def disturbance(population, anchors, draws):
    """The paper's estimator: distances to the mean of `draws` outputs, for each anchor."""
    found = []
    for anchor in range(anchors):
        outputs = []
        for _ in range(draws):
            chosen = torch.randint(len(population), (BATCH,))
            chosen[0] = anchor
            outputs.append(iter_norm(population[chosen], ITERATIONS)[0])
        outputs = torch.stack(outputs)
        found.append((outputs - outputs.mean(0)).norm(dim=1).mean())
    return torch.stack(found)


def main():
    """Answer each line of standard input."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    population = torch.randn(SAMPLES, FEATURES)
    for line in sys.stdin:
        anchors, draws = map(int, line.split())
        start = time.perf_counter()
        found = disturbance(population, anchors, draws)
        seconds = time.perf_counter() - start
        print(seconds, float(found.mean()), float(found.std() / anchors**0.5), flush=True)


if __name__ == "__main__":
    main()
