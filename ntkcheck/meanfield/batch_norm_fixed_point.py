"""BatchNorm with the statistics of the mini-batch, where depth has made all pairs of a batch alike.

Before an activation phi(t) = t for t > 0, alpha t for t <= 0 a batch tends to the kernel that is invariant under permutations
of its B samples, K_ii = q, K_ij = c (Yang et al. call it BSB1). The centred pre-activations v then point in a direction that is
uniform on the sphere of dimension n - 1, n = B - 1, in the hyperplane sum v = 0; two of their components have the correlation

    rho = -1 / (B - 1),     and with   V = E[phi(a) phi(b)],   V_c = E[phi'(a) phi'(b)]   at unit variances,   m = (1 + alpha^2)/2,

everything is in closed form, because phi(BN(u)) = sqrt(B) phi(v) / |v| and |v| is independent of v / |v|. BatchNorm divides out
sigma_w and takes out sigma_b: neither enters here.

Source: Yang et al. 2019, A mean field theory of batch normalization; claims MN-2, LT-1. The closed forms are derived in the
functions' docstrings; paper_notes.md, "BatchNorm at its fixed point".
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck.meanfield.flow import flow_limit
from ntkcheck.meanfield.laplace import determinant_root, homogeneous_dual, integrate


class BatchFixedPoint(NamedTuple):
    """The second moments of the activations over a batch at the symmetric fixed point, for any sigma_w and sigma_b.

    Attributes:
        variance: q = m, E[phi^2]: 1/2 for ReLU.
        covariance: c = V, of the activations of two samples.
        correlation: c / q: J(-1/(B-1)) for ReLU, J the normalised arc-cosine kernel of order 1; tends to 1/pi.
        normalized: -1/(B-1), the correlation of the normalised pre-activations, whose variance is 1.
    """

    variance: float
    covariance: float
    correlation: float
    normalized: float


def fixed_point(batch: int, slope: float = 0.0) -> BatchFixedPoint:
    """The permutation-symmetric fixed point of K -> E[F(u) F(u)^T], F = phi(BN(u)).

    q = m and c = V(rho): sqrt(B) v / |v| has components of variance 1 and correlation rho, and the expectation of a function of
    degree 2 of two of them, divided by |v|^2, is that of Gaussians of the same covariance. Every symmetric kernel is mapped to
    it in one step; `attraction` says how others approach it.

    Source: Yang et al. 2019; claim LT-1; derived above.

    Args:
        batch: B, at least 2.
        slope: alpha of the activation for negative arguments: 0 ReLU, 1 identity, -1 absolute value.

    Raises:
        ValueError: For a batch below 2 or a slope that is not finite.
    """
    _check(batch, slope, least=2)
    v, _, _ = _dual(batch, slope)
    m = (1 + slope**2) / 2
    return BatchFixedPoint(m, v, v / m, -1 / (batch - 1))


def attraction(batch: int, slope: float = 0.0) -> float:
    """How fast a batch approaches the fixed point: what is left after a layer of a small deviation, for the slowest deviation.

    With Sigma = (q - c)(G + A), A small, centred, of trace 0, the next one is (q - c) G + B / (B + 1) G M G, M_ii = m A_ii and
    M_ij = V_1 (A_ii + A_jj) + V_c A_ij (Price's theorem). Deviations of zero diagonal shrink by the second factor here,
    deviations of the samples' variances by the first:

        (B-2) (m - 2 V_1 + 2 V_c / (B-2)) / ((B+1) (m - V)),     B V_c / ((B+1) (m - V)).

    Both are (B-1)/(B+1) for the identity. The first tends to 1 like 1 - 2.27/B for ReLU: a batch needs 0.44 B layers for
    each factor 1/e (0.5 B with the identity, 0.36 B with |t|).

    Source: derived above.

    Args:
        batch: B, at least 3.
        slope: As in `fixed_point`.

    Returns:
        The larger magnitude of the two; below 1, so the fixed point attracts its neighbourhood. It need not attract everything:
        |t| has another attractor at B = 32, where one sample's variance dominates.

    Raises:
        ValueError: As `fixed_point`.
    """
    _check(batch, slope, least=3)
    v, v_1, v_c = _dual(batch, slope)
    m = (1 + slope**2) / 2
    variances = (batch - 2) * (m - 2 * v_1) + 2 * v_c
    return max(abs(variances), abs(batch * v_c)) / ((batch + 1) * (m - v))


def gradient_growth(batch: int, slope: float = 0.0) -> float:
    """The factor by which the squared gradient grows per layer, going backwards, at the fixed point.

    ((B-2) m + V_c + V) / ((B-3) (m - V)): (B-2)/(B-3) for the identity, and pi/(pi-1) for ReLU as B -> infinity. With
    D = diag(phi'(v)), w = v / |v|, P = G - w w^T, the derivative of F is sqrt(B) D P / |v|. Its backward second moment maps G to
    a multiple of G, by symmetry: B E[|v|^(-2)] E[tr(G D P D)] / n, where E[|v|^(-2)] = 1 / ((q - c)(n - 2)) and

        tr(D P D) = (B-2) m,     1^T D P D 1 = (B-2) m - (B-1)(V_c + V)   on average.

    G is the top direction among all, not only the symmetric ones: the map keeps positive semi-definiteness and G lies inside
    that cone, so its eigenvalue is the spectral radius (Perron-Frobenius). The spectrum of the
    B(B-1)/2-dimensional operator, computed for B = 4 to 8, agrees: three eigenvalues, of multiplicity 1, B - 1 and B(B-3)/2, and
    that of G is the largest.

    Source: Yang et al. 2019 (the two limits); claims MN-2 (b), LT-1; derived above.

    Args:
        batch: B, at least 3.
        slope: As in `fixed_point`.

    Returns:
        The growth; inf for B = 3, where E[|v|^(-2)] diverges.

    Raises:
        ValueError: For a batch below 3 (two normalised samples are +-1: the derivative is 0), or a slope that is not finite.

    Assumes:
        Infinite width.
    """
    _check(batch, slope, least=3)
    if batch == 3:
        return math.inf
    v, _, v_c = _dual(batch, slope)
    m = (1 + slope**2) / 2
    return ((batch - 2) * m + v_c + v) / ((batch - 3) * (m - v))


def correlation_slope(batch: int, slope: float = 0.0) -> float:
    """chi_1 for two close samples of one batch: the growth per layer of their squared distance.

    The last sample is all but a copy of the first; with e their difference, DF e = sqrt(B) phi'(v_1) e / |v|, so the squared
    distance grows by B m E[|v|^(-2)] at the fixed point of a batch with a repeated sample. There Sigma has two eigenvalues: one on
    the B - 2 single samples (multiplicity B - 3) and one on p, the pair against them. Their ratio is a fixed point in one
    variable: the one that depth leads to from the symmetric fixed point with a sample repeated.

    Close to it is B / ((B-3)(1 - J(-1/(B-1)))) for ReLU, which takes |v| from a batch without a repeated sample; both tend to
    pi/(pi-1) as B -> infinity.

    Source: derived above; claim MN-2 (b).

    Args:
        batch: B with the copy, at least 4.
        slope: As in `fixed_point`.

    Returns:
        chi_1, from float64; inf for B = 4, where E[|v|^(-2)] diverges.

    Raises:
        ValueError: For a batch below 4 or a slope that is not finite.

    Assumes:
        Infinite width.
    """
    _check(batch, slope, least=4)
    if batch == 4:
        return math.inf
    with jax.enable_x64(True):
        ratio = flow_limit(lambda r: float(_repeated_step(r, batch, slope)[0]) / r, 2 * (batch - 1) / batch)
        return float(_repeated_step(ratio, batch, slope)[1])


@functools.partial(jax.jit, static_argnames="batch")
def _repeated_step(ratio: float, batch: int, slope: float) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """One layer of a batch whose last sample repeats the first: the next ratio of Sigma's eigenvalues, and chi_1.

    Sigma = lambda (I - 1 1^T / (B-2) on the single samples) + ratio lambda p p^T, p = (x, x; y, ..., y) = (B-2, B-2; -2, ..., -2) /
    sqrt(2 B (B-2)), in units of its trace.
    """
    singles, m = batch - 2, (1 + slope**2) / 2
    x, y = math.sqrt(singles / (2 * batch)), -math.sqrt(2 / (batch * singles))
    unit = 1 / (singles - 1 + ratio)

    def moments(s):
        single, pair = unit / (1 + 2 * s * unit), ratio * unit / (1 + 2 * s * ratio * unit)
        q_pair, q_single = pair * x**2, pair * y**2 + single * (1 - 1 / singles)
        c_mixed, c_single = pair * x * y, pair * y**2 - single / singles
        mixed = homogeneous_dual(q_pair, q_single, c_mixed, determinant_root(q_pair, q_single, c_mixed), slope).v
        apart = homogeneous_dual(q_single, q_single, c_single, determinant_root(q_single, q_single, c_single), slope).v
        return m * q_pair, mixed, m * q_single, apart, jnp.ones_like(s)

    values = jnp.full(batch - 1, unit).at[0].set(ratio * unit).at[1].set(0)
    pair, mixed, single, apart, inverse_square = integrate(moments, values, power=1)
    next_unit = single - apart
    next_pair = 4 * x**2 * pair + 4 * singles * x * y * mixed + singles * y**2 * (next_unit + singles * apart)
    scale = batch * ((singles - 1) * next_unit + next_pair)  # the trace of the next Sigma
    return next_pair / next_unit, batch * m * inverse_square / scale


def _dual(batch: int, slope: float) -> tuple[float, float, float]:
    """V and its derivatives V_1 and V_c at unit variances and rho = -1 / (B - 1)."""
    rho = -1 / (batch - 1)
    with jax.enable_x64(True):
        one, c, sine = jnp.asarray((1.0, rho, math.sqrt((1 - rho) * (1 + rho))))
        dual = homogeneous_dual(one, one, c, sine, slope)
        return float(dual.v), float(dual.v_1), float(dual.v_c)


def _check(batch: int, slope: float, least: int) -> None:
    if isinstance(batch, bool) or not isinstance(batch, int | np.integer) or batch < least:
        raise ValueError(f"`batch` must be a whole number of samples, at least {least}, got {batch!r}; raise it.")
    if not math.isfinite(slope):
        raise ValueError(
            f"`slope` must be finite, got {slope!r}; 0 is the ReLU, 1 the identity, -1 the absolute value."
        )
