"""Tangent Monte Carlo: the NNGP and NTK of a layer that is given as a function, whatever the function.

For F acting on groups of g neurons over a batch, U with columns ~ N(0, K) and V with columns ~ N(0, Theta), independent,

    K' = E[F(U) F(U)^T] / g,        Theta' = E[DF(U)[V] DF(U)[V]^T] / g,

because in infinite width the neurons are independent and the tangents of the parameters are Gaussian with covariance Theta.
Four things make it cheap: directions of U are orthogonal within blocks; each U is used with its antipode; the tangent noise is
integrated out where g = 1 (V runs over the columns of Theta^(1/2)); and where F ignores the shift and scale of its group, as
batch normalisers do at eps = 0, the radius of U is integrated exactly.

Source: Yang 2020, Tensor Programs II (the NTK limit of any architecture); Yu et al. 2016 (orthogonal random features);
paper_notes.md, "Tangent Monte Carlo".
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.meanfield.field import Field
from ntkcheck.meanfield.laplace import centre
from ntkcheck.normalizers.gram_schmidt import gram_schmidt

LayerFunction = Callable[[Float[Array, "batch group"]], Float[Array, "batch group"]]


class Law(NamedTuple):
    """How the pre-activations of groups are drawn.

    Attributes:
        draws: Number of draws of a group; even, because each comes with its antipode.
        group_size: g, neurons in a group.
        exact_radius: F ignores shift and scale of its group: draw directions only and integrate the radius exactly.
    """

    draws: int
    group_size: int
    exact_radius: bool


def law(function: LayerFunction, batch: int, group_size: int, samples: int) -> Law:
    """The law for a layer function: `samples` neurons, in groups, drawn with whatever invariance the function has."""
    draws = 2 * max(1, samples // (2 * group_size))
    return Law(draws, group_size, ignores_shift_and_scale(function, batch, group_size))


def ignores_shift_and_scale(function: LayerFunction, batch: int, group_size: int) -> bool:
    """Whether F(a U + 1 b^T) = F(U) for a > 0, tried on a Gaussian batch to a relative error of 1e-9 (float64)."""
    u = jax.random.normal(jax.random.key(7), (batch, group_size))
    moved = function(3 * u + jnp.arange(1, group_size + 1))
    return bool(jnp.linalg.norm(moved - function(u)) <= 1e-9 * jnp.linalg.norm(moved))


def draw(key: Array, law: Law, nngp: Float[Array, "batch batch"]) -> Float[Array, "draws batch group"]:
    """Draw U, columns i.i.d. N(0, K), by orthogonal directions and their antipodes.

    A full block of orthogonal directions integrates every polynomial of degree up to 3 over the sphere exactly. With
    `exact_radius` the centred covariance is used and the radius r of the whitened draw, r^2 ~ chi^2_n independent of the
    direction, is set to E[r^(-2)]^(-1/2) = (n - 2)^(1/2): F does not see it, and the tangent term, proportional to r^(-2), gets
    its expectation. Left random, the radius gives the tangent term infinite variance for n <= 4.
    """
    root, values = square_root(centre(nngp) if law.exact_radius else nngp)
    null = 1 if law.exact_radius else 0  # the centred covariance's null vector 1 comes first
    z = _orthogonal_gaussians(key, law.draws // 2, values.shape[0] - null, law.group_size)
    z = jnp.pad(z, ((0, 0), (null, 0), (0, 0)))
    if law.exact_radius:
        n = directions(values, law.group_size)
        active = jnp.where((values > 0)[:, None], z, 0)
        z = z * jnp.sqrt(jnp.where(n > 2, n - 2, 1) / jnp.sum(active**2, axis=(1, 2), keepdims=True))
    u = root @ z
    return jnp.concatenate([u, -u])


def _orthogonal_gaussians(key, draws, dimensions, group_size):
    """Standard Gaussian (draws, dimensions, group_size); a neuron's draws are orthogonal within blocks, neurons independent."""
    direction_key, radius_key = jax.random.split(key)
    width = min(draws, dimensions)
    blocks = -(-draws // width)
    vectors = gram_schmidt(jax.random.normal(direction_key, (group_size, blocks, width, dimensions)).mT).mT
    directions = vectors.reshape(group_size, -1, dimensions)[:, :draws]
    radii = jnp.sqrt(2 * jax.random.gamma(radius_key, dimensions / 2, (group_size, draws, 1)))
    return jnp.moveaxis(radii * directions, 0, 2)


def square_root(
    covariance: Float[Array, "batch batch"],
) -> tuple[Float[Array, "batch batch"], Float[Array, " batch"]]:
    """R with R R^T the covariance, and its eigenvalues, those within rounding of 0 set to 0."""
    values, vectors = jnp.linalg.eigh(covariance)
    values = jnp.where(values > values.shape[0] * jnp.finfo(values.dtype).eps * values[-1], values, 0)
    return vectors * jnp.sqrt(values), values


def directions(values: Float[Array, " batch"], group_size: int) -> Array:
    """Dimension n of the space that the draws of a group fill."""
    return group_size * jnp.sum(values > 0)


def tangent_moments(
    key: Array, field: Field, function: LayerFunction, law: Law
) -> tuple[Field, Float[Array, " samples"]]:
    """K' and, for every tangent covariance Theta in a stack, Theta': unbiased, given K and Theta.

    Args:
        key: Of the draws and, for groups, of the tangent noise.
        field: K, and a stack (tangents, batch, batch) of covariances Theta; all meet the same draws.
        function: F, on one group: (batch, group) -> same shape. For groups of one the tangent noise is integrated out, at
            the price of `batch` derivatives a draw.
        law: See `Law`.

    Returns:
        The field after F, and each draw's share of the first tangent's trace (`tail_index` judges its tail). With an exact
        radius, Theta' is infinite where U fills fewer than 3 directions.
    """
    draw_key, noise_key = jax.random.split(key)
    u = draw(draw_key, law, field.nngp)
    roots = jax.lax.map(lambda theta: square_root(theta)[0], field.ntk)
    moved = _push_columns(function, u, roots) if law.group_size == 1 else _push_noise(noise_key, function, u, roots)
    theta = jnp.einsum("tsbv,tscv->tbc", moved, moved) / (law.draws * law.group_size)
    if law.exact_radius:
        theta = jnp.where(directions(square_root(centre(field.nngp))[1], law.group_size) > 2, theta, jnp.inf)
    return Field(_second_moment(function, u), theta), jnp.sum(moved[0] ** 2, axis=(1, 2))


def nngp_moment(
    key: Array, nngp: Float[Array, "batch batch"], function: LayerFunction, law: Law
) -> Float[Array, "batch batch"]:
    """K' = E[F(U) F(U)^T] / g alone."""
    return _second_moment(function, draw(key, law, nngp))


def _second_moment(function, u):
    outputs = jax.vmap(function)(u)
    return jnp.einsum("sbg,scg->bc", outputs, outputs) / (u.shape[0] * u.shape[2])


def _push_columns(function, u, roots):
    """DF(U) R for every draw and root: (tangents, samples, batch, batch); E over V of its square is exact."""
    basis = jnp.eye(u.shape[1], dtype=u.dtype)[:, :, None]
    jacobian = jax.vmap(lambda u: jax.vmap(lambda e: jax.jvp(function, (u,), (e,))[1][:, 0], out_axes=1)(basis))(u)
    return jnp.einsum("sbk,tkv->tsbv", jacobian, roots)


def _push_noise(key, function, u, roots):
    """DF(U)[R noise] for every draw and root, with the same noise: (tangents, samples, batch, group)."""
    noise = jax.random.normal(key, u.shape, u.dtype)
    return jax.vmap(lambda root: jax.vmap(lambda u, v: jax.jvp(function, (u,), (root @ v,))[1])(u, noise))(roots)


def tail_index(shares: Float[Array, " samples"]) -> tuple[Float[Array, ""], int]:
    """Hill's estimate of the exponent alpha of P(share > t) ~ t^(-alpha), from the largest sqrt(samples) shares.

    Below 2 the variance is infinite and standard errors mean nothing; its own relative standard error is k^(-1/2).

    Source: Hill 1975.

    Returns:
        The estimate and k, the number of shares that it rests on.
    """
    k = max(2, int(shares.shape[0] ** 0.5))
    largest = jax.lax.top_k(shares, k + 1)[0]
    return 1 / jnp.mean(jnp.log(largest[:k] / largest[k])), k
