"""The normalisers as functions of a sample and of the batch's mean and covariance, on one group of features.

The delta method differentiates these in the statistics. They are the maps of `ntkcheck.normalizers` at eps = 0.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from ntkcheck.errors import unknown_name
from ntkcheck.normalizers import Normalizer
from ntkcheck.normalizers.iter_norm import newton_inverse_root

StatisticsFunction = Callable[
    [Float[Array, " group"], Float[Array, " group"], Float[Array, "group group"]], Float[Array, " group"]
]


@jax.custom_jvp
def inverse_root(covariance: Float[Array, "group group"]) -> Float[Array, "group group"]:
    """Sigma^(-1/2) of a symmetric matrix, differentiable where eigenvalues coincide too."""
    values, vectors = jnp.linalg.eigh(covariance)
    return (vectors / jnp.sqrt(values)) @ vectors.T


@inverse_root.defjvp
def _inverse_root_jvp(primals, tangents):
    """Divided differences of s^(-1/2), -1 / (sqrt(a b) (sqrt a + sqrt b)), in the eigenbasis (Higham 2008, theorem 3.11)."""
    values, vectors = jnp.linalg.eigh(primals[0])
    roots = jnp.sqrt(values)
    differences = -1 / (roots[:, None] * roots * (roots[:, None] + roots))
    inner = differences * (vectors.T @ tangents[0] @ vectors)
    return (vectors / roots) @ vectors.T, vectors @ inner @ vectors.T


def batch_norm(x: Array, mean: Array, covariance: Array) -> Array:
    """(x - mu) / sqrt(diag Sigma)."""
    return (x - mean) / jnp.sqrt(jnp.diagonal(covariance))


def zca(x: Array, mean: Array, covariance: Array) -> Array:
    """Sigma^(-1/2) (x - mu)."""
    return inverse_root(covariance) @ (x - mean)


def cholesky(x: Array, mean: Array, covariance: Array) -> Array:
    """L^(-1) (x - mu), Sigma = L L^T."""
    return solve_triangular(jnp.linalg.cholesky(covariance), x - mean, lower=True)


def pca(x: Array, mean: Array, covariance: Array) -> Array:
    """diag(lambda)^(-1/2) D^T (x - mu) up to signs; its derivative is not finite where eigenvalues coincide."""
    values, vectors = jnp.linalg.eigh(covariance)
    return (vectors.T @ (x - mean)) / jnp.sqrt(values)


def iter_norm(x: Array, mean: Array, covariance: Array, iterations: int) -> Array:
    """p_T(Sigma / tr Sigma) (x - mu) / sqrt(tr Sigma)."""
    trace = jnp.trace(covariance)
    return newton_inverse_root(covariance / trace, iterations) @ (x - mean) / jnp.sqrt(trace)


_FUNCTIONS: dict[str, StatisticsFunction] = {"batch_norm": batch_norm, "zca": zca, "cholesky": cholesky, "pca": pca}


def statistics_function(kind: Normalizer) -> StatisticsFunction:
    """F(x; mu, Sigma) of a normaliser.

    Raises:
        ValueError: For one that is not a function of mean and covariance here.
    """
    if kind.name == "iter_norm":
        iterations = kind.iterations or 5
        return lambda x, mean, covariance: iter_norm(x, mean, covariance, iterations)
    if kind.name not in _FUNCTIONS:
        raise unknown_name(
            "normalizer", kind.name, (*_FUNCTIONS, "iter_norm"), "or pass F(x, mean, covariance) to `first_order`"
        )
    return _FUNCTIONS[kind.name]
