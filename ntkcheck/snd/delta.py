"""SND to first order for any differentiable normaliser and any population with four moments: the delta method.

F(B; x) = F(x; mu_B, Sigma_B). With theta = (mu, Sigma), m Cov(theta_B) -> K = Cov(z - mu, vec (z - mu)(z - mu)^T), and so
F - E F -> e ~ N(0, J K J^T / m), J = dF/dtheta at the population's theta. Then Delta(x) = E |e|, and SND its mean over x.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck.compilation import compiled
from ntkcheck.normalizers.groups import check_groups
from ntkcheck.snd.arguments import check_count
from ntkcheck.snd.mean_norm import gaussian_mean_norm
from ntkcheck.snd.statistics import StatisticsFunction


class Moments(NamedTuple):
    """Moments of a population up to the fourth, in groups of neighbouring features.

    Attributes:
        mean: mu.
        covariance: Sigma.
        joint: K, the covariance of (z, vec (z - mu)(z - mu)^T), g + g^2 numbers.
    """

    mean: Float[Array, "groups group"]
    covariance: Float[Array, "groups group group"]
    joint: Float[Array, "groups statistics statistics"]


class FirstOrder(NamedTuple):
    """Delta(x) to first order, for each anchor.

    Attributes:
        value: E |e|; where features fall into several groups, as if e were independent between them.
        root_mean_square: sqrt(E |e|^2), which needs no such assumption.
    """

    value: Float[np.ndarray, " anchors"]
    root_mean_square: Float[np.ndarray, " anchors"]


def sample_moments(population: Float[Array, "samples features"], group_size: int) -> Moments:
    """The moments of the samples themselves.

    Args:
        population: Samples as rows; the fourth moments of n samples have relative errors of the order sqrt(10 / n).
        group_size: g; K has (g + g^2)^2 numbers per group.
    """
    x = jnp.asarray(population)
    check_groups(x.shape[1], group_size)
    grouped = jnp.swapaxes(x.reshape(len(x), -1, group_size), 0, 1)

    def of_group(z):
        mean = jnp.mean(z, axis=0, keepdims=True)
        centred = z - mean
        products = (centred[:, :, None] * centred[:, None, :]).reshape(len(z), -1)
        covariance = jnp.mean(products, axis=0).reshape(group_size, group_size)
        both = jnp.concatenate([centred, products - covariance.reshape(1, -1)], axis=1)
        return Moments(mean[0], covariance, both.T @ both / len(z))

    return jax.lax.map(of_group, grouped)


def gaussian_moments(covariance: Float[Array, "features features"], group_size: int) -> Moments:
    """The moments of N(0, Sigma): Cov(z_i z_j, z_k z_l) = S_ik S_jl + S_il S_jk, third moments 0 (Isserlis)."""
    sigma = jnp.asarray(covariance)
    check_groups(len(sigma), group_size)
    g = group_size
    blocks = jnp.stack([sigma[i : i + g, i : i + g] for i in range(0, len(sigma), g)])

    def joint(block):
        fourth = jnp.einsum("ik,jl->ijkl", block, block) + jnp.einsum("il,jk->ijkl", block, block)
        return jax.scipy.linalg.block_diag(block, fourth.reshape(g * g, g * g))

    return Moments(jnp.zeros(blocks.shape[:2], sigma.dtype), blocks, jax.vmap(joint)(blocks))


def first_order(
    function: StatisticsFunction, moments: Moments, anchors: Float[Array, "anchors features"], batch_size: int
) -> FirstOrder:
    """Delta(x) to first order in 1 / sqrt(m), by automatic differentiation of F in mean and covariance.

    Source: claims IN-4 and IN-5; van der Vaart 1998, Asymptotic Statistics, theorem 3.1.

    Args:
        function: F(x, mean, covariance) on one group, as `statistics_function` gives it; may be the user's own.
        moments: Of the population.
        anchors: Samples x as rows.
        batch_size: m; the law is for m much larger than the group.

    Raises:
        ValueError: If F has no finite derivative, as PCA where eigenvalues coincide.
    """
    check_count("batch_size", batch_size, 2, "SND is over the other samples of a batch")
    points = jnp.asarray(anchors).reshape(len(anchors), *moments.mean.shape)
    spectra = np.asarray(_response_spectra(moments, points, function=function)) / batch_size
    if not np.isfinite(spectra).all():
        raise ValueError(
            "`function` must have finite derivatives in mean and covariance, got ones that are not; PCA has none where "
            "eigenvalues coincide."
        )
    variances = np.maximum(spectra.reshape(len(points), -1), 0)  # rounding below 0 of positive semi-definite matrices
    value = np.array([gaussian_mean_norm(each) for each in variances])
    return FirstOrder(value, np.sqrt(variances.sum(1)))


@compiled("function")
def _response_spectra(moments, points, *, function):
    """Eigenvalues of J K J^T, (anchors, groups, group)."""

    def of_group(x, mean, covariance, joint):
        by_mean, by_covariance = jax.jacrev(function, argnums=(1, 2))(x, mean, covariance)
        jacobian = jnp.concatenate([by_mean, by_covariance.reshape(len(x), -1)], axis=1)
        return jnp.linalg.eigvalsh(jacobian @ joint @ jacobian.T)

    return jax.lax.map(lambda x: jax.vmap(of_group)(x, *moments), points)
