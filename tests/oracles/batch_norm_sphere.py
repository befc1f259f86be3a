"""BatchNorm kernels by cones of constant sign: the radius in closed form, Gauss-Legendre on what is left.

On the hyperplane sum(v) = 0 each sign pattern (p positive, q negative coordinates) is a cone v = rho (x, -y) with x and y
in the simplices of p and q vertices: no kink inside, and dv = sqrt(B) rho^(B-2) d(rho) dx dy. An integrand homogeneous of
degree -d against N(0, Sigma) leaves the radius as a Gamma function and the quadratic form to the power (B-1-d)/2. Sigma
must have full rank on the hyperplane and be well conditioned.
"""

from functools import cache
from itertools import product
from math import gamma, pi, sqrt
from typing import NamedTuple

import numpy as np


class Step(NamedTuple):
    """Kernels after [BatchNorm, phi] and the method's own estimate of the larger relative Frobenius error."""

    nngp: np.ndarray
    ntk: np.ndarray
    error: float


@cache
def simplex_rule(vertices: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (points, vertices) on the simplex and weights, by Duffy's collapse of Gauss-Legendre; total 1/(vertices - 1)!."""
    if vertices == 1:
        return np.ones((1, 1)), np.ones(1)
    t, t_weights = np.polynomial.legendre.leggauss(order)
    t, t_weights = (1 + t) / 2, t_weights / 2
    y, y_weights = simplex_rule(vertices - 1, order)
    nodes = np.concatenate([np.repeat(1 - t, len(y))[:, None], np.kron(t[:, None], y)], axis=1)
    return nodes, np.kron(t_weights * t ** (vertices - 2), y_weights)


def cone_rule(batch: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (points, batch) on all the cones' slices rho = 1, and weights."""
    nodes, weights = [], []
    for pattern in product([True, False], repeat=batch):
        positive = np.array(pattern)
        if positive.all() or not positive.any():
            continue
        x, x_weights = simplex_rule(int(positive.sum()), order)
        y, y_weights = simplex_rule(int((~positive).sum()), order)
        v = np.empty((len(x) * len(y), batch))
        v[:, positive] = np.repeat(x, len(y), axis=0)
        v[:, ~positive] = -np.tile(y, (len(x), 1))
        nodes.append(v)
        weights.append(sqrt(batch) * np.kron(x_weights, y_weights))
    return np.concatenate(nodes), np.concatenate(weights)


def hyperplane(batch: int) -> np.ndarray:
    """Orthonormal columns that span sum(v) = 0 (Helmert)."""
    columns = [[1.0] * k + [-k] + [0.0] * (batch - k - 1) for k in range(1, batch)]
    return np.array([np.array(c) / np.linalg.norm(c) for c in columns]).T


def _sphere_once(K: np.ndarray, Theta: np.ndarray, alpha: float, order: int) -> tuple[np.ndarray, np.ndarray]:
    """K' and Theta' with `order` nodes in each direction."""
    batch, n = len(K), len(K) - 1
    basis = hyperplane(batch)
    sigma = basis.T @ K @ basis
    T = basis @ basis.T @ Theta @ basis @ basis.T
    v, weights = cone_rule(batch, order)
    form = np.sum((v @ basis) * np.linalg.solve(sigma, (v @ basis).T).T, axis=1)
    density = weights / sqrt(np.linalg.det(2 * pi * sigma))
    degree_0 = density * 2 ** (n / 2 - 1) * gamma(n / 2) * form ** (-n / 2)
    degree_2 = density * 2 ** (n / 2 - 2) * gamma(n / 2 - 1) * form ** (1 - n / 2)
    r = np.linalg.norm(v, axis=1, keepdims=True)
    slope = np.where(v > 0, 1.0, alpha)
    F = slope * v / r
    nngp = batch * (F.T * degree_0) @ F
    # DF = slope (G / r - v v^T / r^3): D T D^T, term by term.
    radial = np.sum((v @ T) * v, axis=1) / r[:, 0] ** 4
    mixed = (F.T * degree_2) @ (slope * (v @ T) / r**3)
    ntk = T * ((slope.T * (degree_2 / r[:, 0] ** 2)) @ slope) - mixed - mixed.T + (F.T * (degree_2 * radial)) @ F
    return nngp, batch * ntk


def sphere_step(K: np.ndarray, Theta: np.ndarray, alpha: float, order: int | None = None) -> Step:
    """K' and Theta' for a batch of 4 or 5; 40 (batch 4) or 20 (batch 5) nodes in each direction.

    The error is the largest relative change of either kernel from `order - 4` to `order`.
    """
    order = order or {4: 40, 5: 20}[len(K)]
    coarse, fine = (_sphere_once(K, Theta, alpha, k) for k in (order - 4, order))
    changes = [np.linalg.norm(b - a) / np.linalg.norm(b) for a, b in zip(coarse, fine, strict=True)]
    return Step(*fine, float(max(changes)))


def _radial_pair(a: np.ndarray, b: np.ndarray, c: np.ndarray, power: int) -> np.ndarray:
    """Int int (r1 r2)^power exp(-(a r1^2 + 2 b r1 r2 + c r2^2) / 2) over the quadrant, power 0, 1 or 2.

    With cos g = b / sqrt(a c): power 0 is g / (sqrt(a c) sin g), and each further power is -d/db, d/db = -d/dg / (sqrt(a c)
    sin g).
    """
    root = np.sqrt(a * c)
    cos = b / root
    g = np.arctan2(np.sqrt((root - b) * (root + b)) / root, cos)
    sin = np.sin(g)
    numerator = {0: g, 1: 1 - g * cos / sin, 2: (g * (1 + 2 * cos**2) - 3 * sin * cos) / sin**2}[power]
    return numerator / (root ** (1 + power) * sin ** (1 + power))


def cross_sphere_step(
    K11: np.ndarray, K12: np.ndarray, K22: np.ndarray, Theta12: np.ndarray, alpha: float, order: int
) -> tuple[np.ndarray, np.ndarray]:
    """C = E[F(u1) F(u2)^T] and E[DF(u1)[t1] DF(u2)[t2]^T], two batches of one size, 3 or 4, each normalised by itself.

    Theta11 and Theta22 do not enter. The joint covariance must have full rank on the two hyperplanes.
    """
    batch, n = len(K11), len(K11) - 1
    basis = hyperplane(batch)
    joint = np.block([[basis.T @ K @ basis for K in row] for row in ((K11, K12), (K12.T, K22))])
    precision = np.linalg.inv(joint)
    v, weights = cone_rule(batch, order)
    z = v @ basis
    a = np.sum((z @ precision[:n, :n]) * z, axis=1)[:, None]
    c = np.sum((z @ precision[n:, n:]) * z, axis=1)[None, :]
    b = z @ precision[:n, n:] @ z.T
    density = weights[:, None] * weights / sqrt(np.linalg.det(2 * pi * joint))
    r = np.linalg.norm(v, axis=1, keepdims=True)
    slope = np.where(v > 0, 1.0, alpha)
    F = slope * v / r
    nngp = batch * F.T @ (density * _radial_pair(a, b, c, n - 1)) @ F
    T = basis @ basis.T @ Theta12 @ basis @ basis.T
    tangent = density * _radial_pair(a, b, c, n - 2) / (r * r.T)
    unit = v / r
    ntk = T * (slope.T @ tangent @ slope) + F.T @ (tangent * (unit @ T @ unit.T)) @ F
    ntk -= F.T @ ((unit @ T) * (tangent @ slope)) + ((unit @ T.T) * (tangent.T @ slope)).T @ F
    return nngp, batch * ntk
