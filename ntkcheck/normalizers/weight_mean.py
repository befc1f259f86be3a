"""Weight mean: the mean of every neuron's incoming weights is subtracted (MimicNorm's constraint on the weights)."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

# One ReLU layer under weight mean passes on the variance 1/2 - 1/(2 pi) instead of 1/2 of the second moment; this factor on
# the weights undoes the loss exactly. MimicNorm's code uses 1.2.
RELU_COMPENSATION = (1.0 - 1.0 / math.pi) ** -0.5


def centre_weights(
    weights: Float[Array, "fan_in fan_out"], min_fan_in: int = 0, compensation: float = 1.0
) -> Float[Array, "fan_in fan_out"]:
    """Subtract from every neuron's incoming weights their mean: w_ij - (1/n_i) sum_k w_kj.

    Centring the weights is centring the activations over neurons: (a - mean(a)) W = a (W - mean(W)).

    Source: MimicNorm (arXiv 2010.09278), section 3.1; claims MN-4, MN-6 and MN-7.

    Args:
        weights: Incoming weights of `fan_out` neurons. A convolution's kernel is passed with its positions and channels
            flattened into `fan_in`: the mean is over the receptive field.
        min_fan_in: Layers whose fan-in is not larger than this keep their mean; the published code uses 50.
        compensation: Factor on the centred weights; `RELU_COMPENSATION` keeps the second moment through ReLU layers.

    Returns:
        The constrained weights; of rank at most `fan_in` - 1, and of 1 - 1/`fan_in` times the variance if they were i.i.d.
    """
    if weights.shape[0] <= min_fan_in:
        return weights
    return compensation * (weights - jnp.mean(weights, axis=0, keepdims=True))
