"""The Gaussian error linear unit t Phi(t), Phi the standard normal distribution function."""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ntkcheck.activations.activation import Activation
from ntkcheck.activations.bivariate import arc_cosine, determinant


@functools.cache
def gelu() -> Activation:
    """The exact GELU t Phi(t).

    Let A = 1 + q1, B = 1 + q2, D = A B - k12^2, S = 1/A + 1/B, g = Phi'. For independent standard normal z1, z2,
    F = E[Phi(u) Phi(v)] = P(z1 < u, z2 < v) is an orthant probability: F = (pi - theta) / (2 pi),
    theta = arctan2(sqrt D, k12). Stein's lemma, first on u, then on v:

        E[u Phi(u) v Phi(v)] = q1 E[g(u) v Phi(v)] + k12 (F + E[Phi(u) v g(v)])

    Under the density that g(u) tilts, var u = q1/A, var v = q2 - k12^2/A, cov = k12/A, which gives

        E[g(u) v Phi(v)] = (q2 - k12^2/A) / (2 pi sqrt D),   E[Phi(u) v g(v)] = k12 / (2 pi B sqrt D)

    and, collected and (second line) differentiated in k12 by Price's theorem,

        2 pi E[phi(u) phi(v)]   = k12 J_0 + (det + k12^2 S) / sqrt D = r J_1 + 1 / sqrt D - S sqrt D
        2 pi E[phi'(u) phi'(v)] = J_0 + (k12 / sqrt D) (S + 1 / D) = (r J_1 + (1 - det - S D + k12^2 / D) / sqrt D) / k12

    with J_0 = pi - theta, r J_1 = sqrt D + k12 J_0 and det = q1 q2 - k12^2. The first forms cancel where k12 is large
    and negative, the second where q1 and q2 are small; each is used where it is accurate. D = 1 + q1 + q2 + det is a
    sum of positive terms.

    Source: derived above; the kernel was first given by Tsuchida et al. (2021), Avoiding kernel fixed points.
    """
    return Activation(
        name="gelu",
        phi=lambda t: jax.nn.gelu(t, approximate=False),
        duals=lambda q1, q2, k12: _duals(q1, q2, k12, determinant(q1, q2, k12)),
        mean=lambda q: q / jnp.sqrt(2 * math.pi * (1 + q)),
        second_moment=lambda q: _duals(q, q, q, jnp.zeros_like(q))[0],
        derivative_second_moment=lambda q: _duals(q, q, q, jnp.zeros_like(q))[1],
    )


def _duals(q1: Array, q2: Array, k12: Array, det: Array) -> tuple[Array, Array]:
    square = 1 + q1 + q2 + det
    root = jnp.sqrt(square)
    inverses = 1 / (1 + q1) + 1 / (1 + q2)
    j0, r_j1 = arc_cosine(k12, root)
    near = k12 * j0 + (det + k12 * k12 * inverses) / root
    near_derivative = j0 + k12 / root * (inverses + 1 / square)
    opposed = k12 < -2 * root
    k_opposed = jnp.where(opposed, k12, -1)
    far = r_j1 + (1 / root - inverses * root)
    far_derivative = (r_j1 + (1 - det - inverses * square + k_opposed * k_opposed / square) / root) / k_opposed
    dual, dual_derivative = jnp.where(opposed, far, near), jnp.where(opposed, far_derivative, near_derivative)
    return dual / (2 * math.pi), dual_derivative / (2 * math.pi)
