"""SND of small populations by enumeration of every batch, in NumPy."""

import itertools

import numpy as np


def batch_norm_of_first(x):
    """BatchNorm's output for the first sample of each batch of a stack."""
    return (x[:, 0] - x.mean(axis=1)) / x.std(axis=1)


def layer_norm_of_first(x):
    return (x[:, 0] - x[:, 0].mean(axis=1, keepdims=True)) / x[:, 0].std(axis=1, keepdims=True)


def delta(normalized, population, anchor, batch_size, replacement):
    """E_B |F(B; x) - E_B F(B; x)| over every batch that holds the anchor and mates of the population."""
    samples = range(len(population))
    others = [i for i in samples if i != anchor]
    mates = (
        itertools.product(samples, repeat=batch_size - 1)
        if replacement
        else itertools.combinations(others, batch_size - 1)
    )
    y = normalized(population[[[anchor, *chosen] for chosen in mates]])
    return np.linalg.norm(y - y.mean(axis=0), axis=1).mean()


def disturbance(normalized, population, batch_size, replacement):
    """Its mean over anchors."""
    return np.mean([delta(normalized, population, a, batch_size, replacement) for a in range(len(population))])
