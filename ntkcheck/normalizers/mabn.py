"""Moving average batch normalisation."""

import jax.numpy as jnp

from ntkcheck.normalizers.sequence import SequenceNormalizer, forgetting_time, mean_square


def mabn(momentum: float = 0.02, eps: float = 0.0) -> SequenceNormalizer:
    """x / sqrt(chi + eps), chi <- (1 - rho) chi + rho mean(x^2) over the batch, which is in the average.

    There is no mean: the method centres the weights instead (`centre_weights`). The published code (github.com/megvii-model/MABN)
    divides, after a warm-up, by the average from before the batch, through a ratio that is clipped to [1/5, 5]: as `power_norm`
    does, as long as nothing is clipped.

    Source: Yan et al. 2020, Towards stabilizing batch statistics in backward propagation of batch normalization
    (arXiv 2001.06838), forward pass of moving average batch normalization.

    Args:
        momentum: rho, the weight of the newest batch, in (0, 1]; the published code keeps 0.98 of the old.
        eps: Added to the second moment; 0 is the theory's case.
    """

    def step(state, x):
        chi = (1 - momentum) * state + momentum * mean_square(x)
        return x / jnp.sqrt(chi + eps), chi

    return SequenceNormalizer("mabn", mean_square, step, forgetting_time(momentum))
