"""The pair of kernels that infinite-width theory propagates through a network, and its linear layer."""

from typing import NamedTuple

from jaxtyping import Array, Float


class Field(NamedTuple):
    """NNGP and NTK over a batch.

    Attributes:
        nngp: K, the covariance over neurons of the pre-activations of each pair of inputs.
        ntk: Theta, the neural tangent kernel so far, in the NTK parametrisation.
    """

    nngp: Float[Array, "*layers batch batch"]
    ntk: Float[Array, "*layers batch batch"]


def input_field(x: Float[Array, "batch features"]) -> Field:
    """The field of the inputs themselves: K = x x^T / features, and no parameter yet."""
    nngp = x @ x.T / x.shape[1]
    return Field(nngp, 0 * nngp)


def dense_step(field: Field, sigma_w: float | Array, sigma_b: float | Array, trained: float | Array = 1.0) -> Field:
    """One dense layer: K <- sigma_w^2 K + sigma_b^2, Theta <- sigma_w^2 Theta + (the new K).

    Source: Jacot, Gabriel & Hongler 2018, theorem 1, with weights sigma_w W / sqrt(fan-in) and biases sigma_b b, W and b
    standard Gaussian.

    Args:
        field: NNGP and NTK of the layer's inputs; the NTK may be a stack of tangent covariances.
        sigma_w: Weight standard deviation times sqrt(fan-in).
        sigma_b: Bias standard deviation.
        trained: 1 where the layer's own parameters count, 0 for a tangent that only passes through; broadcasts against `ntk`.
    """
    nngp = sigma_w**2 * field.nngp + sigma_b**2
    return Field(nngp, sigma_w**2 * field.ntk + trained * nngp)
