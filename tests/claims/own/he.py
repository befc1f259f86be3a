"""The check of he.toml's claims."""

import numpy as np

from ntkcheck.stats import mean_estimate


def second_moment(evidence, gain, width=128, samples=64, layers=1000):
    """Growth of E[x^2] through ReLU and a dense layer with weights of variance gain / width."""
    rng = evidence.generator("second moment")
    growth = []
    for _ in range(layers):
        x = rng.standard_normal((samples, width))
        weights = rng.standard_normal((width, width)) * np.sqrt(gain / width)
        growth.append(np.mean((np.maximum(x, 0) @ weights) ** 2) / np.mean(x**2))
    return {"growth": mean_estimate(np.array(growth))}
