"""BatchNorm kernels in arbitrary precision by regression on pairs, for small batches and hard inputs.

v ~ N(0, Sigma_s), Sigma_s the covariance after the weight exp(-s |v|^2). On w = (v_i, v_j) with covariance S, v = R w + e,
R = Sigma_s[:, ij] S^-1, e independent of w: E[phi'_i phi'_j v_i v_j v^T T v] is a sum of truncated moments, with
k = a + b and gamma = arccos(-rho) the opening of the wedge

    E[v_i^a v_j^b; both positive] = sd_i^a sd_j^b 2^(k/2) (k/2)! / (2 pi) int_0^gamma sin^a(t) sin^b(gamma - t) dt.

S^-1 loses digits on near-duplicates: work with spare ones. Exact duplicates are refused (S is singular).
"""

from itertools import count
from typing import NamedTuple

import numpy as np
from mpmath import acos, cos, det, exp, eye, fsum, inverse, log, matrix, mpf, norm, pi, sin, sqrt, workdps


class StepMP(NamedTuple):
    """Kernels as mpmath matrices, and the largest relative change of either from the grid of step 2h to that of step h."""

    nngp: matrix
    ntk: matrix
    error: float


def to_numpy(m: matrix) -> np.ndarray:
    """An mpmath matrix in float64."""
    return np.array(m.tolist(), dtype=float)


def center_mp(K: matrix) -> matrix:
    """G K G."""
    G = eye(K.rows) - matrix(K.rows, K.rows).apply(lambda _: mpf(1) / K.rows)
    return G * K * G


def _wedge_integrals(g: mpf) -> dict[tuple[int, int], mpf]:
    """Int_0^g sin^a(t) sin^b(g - t) dt for the even a + b up to 4 that occur."""
    s, c, s2, c2 = sin(g), cos(g), sin(2 * g), cos(2 * g)
    third = s**5 / 4 - c * (3 * g / 8 - s2 / 4 + sin(4 * g) / 32)
    return {
        (0, 0): g,
        (1, 1): (s - g * c) / 2,
        (2, 0): g / 2 - s2 / 4,
        (0, 2): g / 2 - s2 / 4,
        (3, 1): third,
        (1, 3): third,
        (2, 2): (g - 3 * s2 / 4 + g * c2 / 2) / 4,
    }


def _pair_moments(S: matrix, alpha: mpf) -> dict[tuple[int, int], mpf]:
    """E[phi'_i phi'_j v_i^a v_j^b] for even a + b <= 4: alpha times all, (1 - alpha)^2 times both positive."""
    q1, q2, k = S[0, 0], S[1, 1], S[0, 1]
    untruncated = {
        (0, 0): mpf(1),
        (1, 1): k,
        (2, 0): q1,
        (0, 2): q2,
        (3, 1): 3 * q1 * k,
        (1, 3): 3 * q2 * k,
        (2, 2): q1 * q2 + 2 * k**2,
    }
    radius = {0: 1, 2: 2, 4: 8}
    integrals = _wedge_integrals(acos(-k / sqrt(q1 * q2)))
    positive = {
        (a, b): sqrt(q1) ** a * sqrt(q2) ** b * radius[a + b] * value / (2 * pi) for (a, b), value in integrals.items()
    }
    return {key: alpha * untruncated[key] + (1 - alpha) ** 2 * positive[key] for key in untruncated}


class _Tilted(NamedTuple):
    """Sigma_s, T Sigma_s, its trace, and Sigma_s T Sigma_s at one rate s."""

    s: mpf
    sigma: matrix
    T: matrix
    T_sigma: matrix
    trace: mpf
    sandwich: matrix


def _block(m: matrix, rows: tuple[int, ...], columns: tuple[int, ...]) -> matrix:
    """The entries of m at rows x columns."""
    return matrix([[m[a, b] for b in columns] for a in rows])


def _pair(p: _Tilted, alpha: mpf, i: int, j: int) -> tuple[mpf, mpf]:
    """The two integrands of the pair i < j."""
    S = _block(p.sigma, (i, j), (i, j))
    S_inverse = inverse(S)
    TR = _block(p.T_sigma, (i, j), (i, j)) * S_inverse  # rows i and j of T R
    Q = S_inverse * _block(p.sandwich, (i, j), (i, j)) * S_inverse  # R^T T R
    remainder = p.trace - sum((Q * S)[a, a] for a in range(2))
    m = _pair_moments(S, alpha)
    linear = TR[1, 0] * m[2, 0] + TR[1, 1] * m[1, 1] + TR[0, 0] * m[1, 1] + TR[0, 1] * m[0, 2]
    quadratic = Q[0, 0] * m[3, 1] + 2 * Q[0, 1] * m[2, 2] + Q[1, 1] * m[1, 3] + m[1, 1] * remainder
    return m[1, 1], p.T[i, j] * m[0, 0] - p.s * linear + p.s**2 / 2 * quadratic


def _single(p: _Tilted, alpha: mpf, i: int) -> tuple[mpf, mpf]:
    """The two integrands of the diagonal entry i: phi'^2 is (1 + alpha^2)/2 on any even function."""
    q, slope = p.sigma[i, i], (1 + alpha**2) / 2
    quadratic = q * p.trace + 2 * p.sandwich[i, i]
    return slope * q, slope * (p.T[i, i] - 2 * p.s * p.T_sigma[i, i] + p.s**2 / 2 * quadratic)


def _integrands(sigma: matrix, T: matrix, s: mpf, alpha: mpf) -> tuple[matrix, matrix]:
    """Both integrands, times s for the logarithmic grid."""
    batch = sigma.rows
    growth = eye(batch) + 2 * s * sigma
    weight = s / sqrt(det(growth))
    tilted = inverse(growth) * sigma
    T_sigma = T * tilted
    p = _Tilted(s, tilted, T, T_sigma, fsum(T_sigma[a, a] for a in range(batch)), tilted * T_sigma)
    nngp, ntk = matrix(batch, batch), matrix(batch, batch)
    for i in range(batch):
        for j in range(i, batch):
            entry = _single(p, alpha, i) if i == j else _pair(p, alpha, i, j)
            nngp[i, j] = nngp[j, i] = weight * entry[0]
            ntk[i, j] = ntk[j, i] = weight * entry[1]
    return nngp, ntk


def laplace_step_mp(K: matrix, Theta: matrix, alpha: float, digits: int = 15, step: float = 0.5) -> StepMP:
    """K' and Theta' by the trapezoidal rule in log s, outwards until both integrands fall below 10^-digits of the sums.

    The working precision is the caller's `mpmath.mp.dps`; rank(G K G) >= 3.
    """
    sigma, T = center_mp(K), center_mp(Theta)
    middle = -log(fsum(sigma[i, i] for i in range(K.rows)))
    zero = matrix(K.rows, K.rows)
    sums = {0: (zero, zero), 1: (zero, zero)}  # by the parity of the grid point
    for first, direction in ((0, 1), (-1, -1)):
        for k in count(first, direction):
            terms = _integrands(sigma, T, exp(middle + k * mpf(step)), mpf(alpha))
            sums[k % 2] = (sums[k % 2][0] + terms[0], sums[k % 2][1] + terms[1])
            small = [norm(a) < mpf(10) ** -digits * norm(b) for a, b in zip(terms, sums[0], strict=True)]
            if abs(k) > 4 and all(small):
                break
    fine = [K.rows * mpf(step) * (a + b) for a, b in zip(*sums.values(), strict=True)]
    coarse = [K.rows * 2 * mpf(step) * a for a in sums[0]]
    error = max(norm(f - c) / norm(f) for f, c in zip(fine, coarse, strict=True))
    return StepMP(fine[0], fine[1], float(error))


def network_mp(
    x: np.ndarray, depth: int, alpha: float, sigma_w: float = 1.0, sigma_b: float = 0.0, digits: int = 15, dps: int = 40
) -> tuple[np.ndarray, np.ndarray]:
    """NNGP and NTK of [Dense, BatchNorm, phi] x depth, then Dense(1); the float64 inputs are taken as exact.

    Raises RuntimeError if a step changes by more than 1e-5 from the grid of step 2h to that of step h: the trapezoidal
    rule's error for a function analytic in a strip squares when h halves, so the value kept is then good to 1e-10.
    """
    with workdps(dps):
        X = matrix(x.tolist())
        w, b = mpf(sigma_w) ** 2, mpf(sigma_b) ** 2
        bias = matrix(len(x), len(x)).apply(lambda _: b)
        K = w * X * X.T / X.cols + bias
        Theta = K
        for _ in range(depth):
            nngp, ntk, error = laplace_step_mp(K, Theta, alpha, digits)
            if not error < 1e-5:
                raise RuntimeError(f"The oracle's quadrature did not converge: coarse relative error {error:.1e}.")
            K = w * nngp + bias
            Theta = w * ntk + K
        return to_numpy(K), to_numpy(Theta)
