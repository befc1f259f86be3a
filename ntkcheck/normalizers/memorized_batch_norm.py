"""Memorised batch normalisation: statistics over the most recent batches."""

import jax.numpy as jnp

from ntkcheck.normalizers.sequence import MovingMoments, SequenceNormalizer, moments


def memorized_batch_norm(batches: int = 5, decay: float = 1.0, eps: float = 0.0) -> SequenceNormalizer:
    """(x - mu) / sqrt(v + eps), mu = sum_k w_k mu_k, v = sum_k w_k (v_k + (mu_k - mu)^2), w_k ~ decay^k, k = 0 the batch at hand.

    With `decay` = 1 these are the statistics of the last batches joined: SND falls like 1 / sqrt(batches).

    Source: Guo et al. 2018, Double forward propagation for memorized batch normalization (arXiv 2010.04947).

    Args:
        batches: How many batches are remembered, the one at hand among them, at least 1.
        decay: Weight of a batch against that of the next, in (0, 1].
        eps: Added to the variance; 0 is the theory's case.

    Raises:
        ValueError: For no batches, or a decay outside (0, 1].
    """
    if isinstance(batches, bool) or not isinstance(batches, int) or batches < 1:
        raise ValueError(f"`batches` must be a positive whole number, got {batches!r}; 5 is usual.")
    if not 0 < decay <= 1:
        raise ValueError(f"`decay` must lie in (0, 1], got {decay}; 1 joins the batches.")

    def start(x):
        seen = moments(x)
        return MovingMoments(*(jnp.repeat(each, batches, axis=0) for each in seen))

    def step(state, x):
        newest = moments(x)
        seen = MovingMoments(*(jnp.concatenate([a, b[:-1]]) for a, b in zip(newest, state, strict=True)))
        weights = decay ** jnp.arange(batches, dtype=x.dtype)[:, None]
        weights = weights / jnp.sum(weights)
        mean = jnp.sum(weights * seen.mean, axis=0, keepdims=True)
        variance = jnp.sum(weights * (seen.variance + (seen.mean - mean) ** 2), axis=0, keepdims=True)
        return (x - mean) / jnp.sqrt(variance + eps), seen

    return SequenceNormalizer("memorized_batch_norm", start, step, batches)
