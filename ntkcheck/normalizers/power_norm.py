"""PowerNorm: division by the running quadratic mean of the batches before."""

import jax.numpy as jnp

from ntkcheck.normalizers.sequence import SequenceNormalizer, forgetting_time, mean_square


def power_norm(momentum: float = 0.1, eps: float = 0.0) -> SequenceNormalizer:
    """x / sqrt(psi + eps), then psi <- (1 - rho) psi + rho mean(x^2): the batch at hand is not in its own statistics.

    So the mates of a sample do not disturb it, only the batches before do. The published code (github.com/sIncerass/powernorm)
    divides groups of a sample's features by their root mean square first, and uses the batch's statistics until it has warmed up.

    Source: Shen et al. 2020, PowerNorm (arXiv 2003.07845), forward pass of power normalization with the running quadratic mean.

    Args:
        momentum: rho, the weight of the newest batch, in (0, 1].
        eps: Added to the second moment; 0 is the theory's case.
    """

    def step(state, x):
        return x / jnp.sqrt(state + eps), (1 - momentum) * state + momentum * mean_square(x)

    return SequenceNormalizer("power_norm", mean_square, step, forgetting_time(momentum) + 1)
