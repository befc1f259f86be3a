"""Batches drawn from a population, with and without replacement, as indices of its samples."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int


def draw_indices(key: Array, samples: int, count: int, replacement: bool) -> Int[Array, " count"]:
    """`count` samples out of `samples`: independent ones, or a subset in which every subset is equally likely.

    Source: Floyd's algorithm (Bentley & Floyd 1987, A sample of brilliance) for subsets, in memory of the size of the subset.
    """
    if replacement:
        return jax.random.randint(key, (count,), 0, samples)
    first = samples - count
    # The k-th number is uniform on 0..first + k; where it was drawn before, first + k itself is taken, which cannot have been.
    uniform = jax.random.randint(key, (count,), 0, first + 1 + jnp.arange(count))

    def take(k, chosen):
        known = jnp.any((chosen == uniform[k]) & (jnp.arange(count) < k))
        return chosen.at[k].set(jnp.where(known, first + k, uniform[k]))

    return jax.lax.fori_loop(0, count, take, jnp.zeros(count, uniform.dtype))


def draw_mates(key: Array, anchor: Array, samples: int, count: int, replacement: bool) -> Int[Array, " count"]:
    """The other samples of a batch that contains `anchor`; without replacement the anchor is not among them."""
    if replacement:
        return draw_indices(key, samples, count, True)
    others = draw_indices(key, samples - 1, count, False)
    return others + (others >= anchor)


def choose_anchors(key: Array, samples: int, count: int) -> Int[Array, " count"]:
    """Different samples as anchors; where there are fewer samples than anchors, some serve again."""
    rounds = -(-count // samples)
    orders = jax.vmap(lambda key: jax.random.permutation(key, samples))(jax.random.split(key, rounds))
    return orders.ravel()[:count]


def finite_population_factor(samples: int, batch_size: int, replacement: bool) -> float:
    """sqrt((N - m) / (N - 1)), by which drawing without replacement lowers SND to first order; 1 with replacement.

    Source: the variance of the mean of m - 1 others out of N - 1, Cochran 1977, Sampling Techniques, theorem 2.2.
    """
    return 1.0 if replacement else math.sqrt((samples - batch_size) / (samples - 1))


def anchor_factor(samples: int, anchors: int, replacement: bool) -> float:
    """What n Var(mean over n anchors) is over the variance of one, for anchors of `choose_anchors` from N samples.

    Drawn without replacement, in rounds of N of which the last has r = n mod N: r (1 - r/N) / n about the mean of these N samples,
    which is what batches without replacement are about: no anchor is left to chance where all samples are anchors. With replacement
    the samples stand for their law, from whose mean theirs is n/N further: together 1 up to n = N.

    Source: Cochran 1977, Sampling Techniques, theorem 2.2.
    """
    last = anchors % samples
    within = last * (1 - last / samples) / anchors
    return within + anchors / samples if replacement else within
