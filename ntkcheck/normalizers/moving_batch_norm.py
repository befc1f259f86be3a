"""BatchNorm in inference mode: moving averages of earlier batches' statistics."""

import jax.numpy as jnp

from ntkcheck.normalizers.sequence import MovingMoments, SequenceNormalizer, forgetting_time, moments


def moving_batch_norm(momentum: float = 0.1, eps: float = 0.0) -> SequenceNormalizer:
    """(x - mu) / sqrt(v + eps), mu <- (1 - rho) mu + rho mean(B), v <- (1 - rho) v + rho var(B) m / (m - 1).

    The batch at hand is in the averages. SND falls by sqrt(rho / (2 - rho)) against BatchNorm's, to first order.

    Source: Ioffe & Szegedy 2015, algorithm 2 (unbiased variance), with the moving averages of its section 3.1.

    Args:
        momentum: rho, the weight of the newest batch, in (0, 1].
        eps: Added to the variance; 0 is the theory's case.
    """

    def step(state, x):
        batch, m = moments(x), x.shape[0]
        mean = (1 - momentum) * state.mean + momentum * batch.mean
        variance = (1 - momentum) * state.variance + momentum * batch.variance * (m / (m - 1))
        return (x - mean) / jnp.sqrt(variance + eps), MovingMoments(mean, variance)

    return SequenceNormalizer("moving_batch_norm", moments, step, forgetting_time(momentum))
