"""Scaled batch normalisation: BatchNorm with a scale below 1, which is also the factor of the gradient that it passes back."""

from jaxtyping import Array, Float

from ntkcheck.normalizers.batch_norm import batch_norm

# The published initial scale; its learning rate is divided by 100, so that it stays near.
INITIAL_SCALE = 0.1


def scaled_batch_norm(
    x: Float[Array, "batch features"], scale: float = INITIAL_SCALE, shift: float = 0.0, eps: float = 0.0
) -> Float[Array, "batch features"]:
    """gamma (x - mean) / sqrt(var + eps) + beta with gamma = `scale`, beta = `shift`.

    Values are at most gamma sqrt(m - 1) in magnitude (claim RB-1), and the gradient that is passed back is gamma / sigma times
    BatchNorm's projection of the gradient that comes in (claim RB-3). SND is gamma times BatchNorm's, relative SND the same.

    Source: Revisiting Batch Normalization (arXiv 2110.13989), the proposed initialisation.

    Args:
        x: Pre-activations, any scale.
        scale: gamma; the paper starts from values below 1, 0.1 for most.
        shift: beta.
        eps: Added to the variance; 0 is the theory's case.
    """
    return scale * batch_norm(x, eps) + shift
