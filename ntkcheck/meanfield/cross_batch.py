"""NNGP and NTK across two batches, each normalised by its own statistics: BatchNorm, then a homogeneous activation.

With v_a = G u_a the centred pre-activations of one neuron over batch a, jointly Gaussian with covariance J, and D_a =
diag(phi'(v_a)), the layer's output on batch a and its derivative in a tangent t_a are, up to the factor sqrt(B_a),

    phi(v_a) / |v_a|,        D_a (t_a / |v_a| - v_a (v_a.t_a) / |v_a|^3).

Every power of |v_a| becomes an integral, |v|^(-1) = pi^(-1/2) int s^(-1/2) exp(-s |v|^2) ds and |v|^(-3) = 2 pi^(-1/2) int s^(1/2)
exp(-s |v|^2) ds, so that all terms share the measure ds dt / (pi sqrt(s t)); a cubed norm brings the factor 2 s or 2 t. Under
the weight exp(-s |v_1|^2 - t |v_2|^2), J tilts to S with the blocks S_11, S_12, S_22. Price's theorem and Stein's lemma give, with
the dual V(q_i, q_j, c) of the pair (v_1i, v_2j), T = G_1 Theta_12 G_2 and E[t_1 t_2^T] = T,

    C      = sqrt(B_1 B_2) int int V,
    Theta' = sqrt(B_1 B_2) int int [V_c o W + 2 V_1 o a 1^T + 2 V_2 o 1 b^T + 4 s t tr(T^T S_12) V],
    W      = T - 2 s S_11 T - 2 t T S_22 + 4 s t (S_11 T S_22 + S_12 T^T S_12),
    a      = -2 t diag((T - 2 s S_11 T) S_21),     b = -2 s diag(S_21 (T - 2 t T S_22)).

In the coordinates s = r w, t = r (1 - w) the measure is dr times the arcsine law of w, dw / (pi sqrt(w (1 - w))): the average over
mixtures w of the one-dimensional integral for the joint batch (sqrt(w) v_1, sqrt(1 - w) v_2). Two equal batches have integrals
that do not depend on w, but for the polynomial factors: they get the kernels of the single batch.

Source: paper_notes.md, "BatchNorm across batches"; `batch_norm` for the single batch.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck.activations import Activation
from ntkcheck.compilation import compiled
from ntkcheck.meanfield.batch_norm import batch_norm_nngp
from ntkcheck.meanfield.field import Field, dense_step
from ntkcheck.meanfield.laplace import Dual, centre, determinant_root, homogeneous_dual, integrate, rank, spectrum
from ntkcheck.meanfield.propagate import check_input
from ntkcheck.network import Network, make_network

# Trapezoidal rule in u for w = 1 / (1 + exp(-2 theta)), theta = u + 2 exp(-4) sinh(u): linear where the integrand varies (up to
# |theta| of about half the logarithm of r), doubly exponential beyond. Analytic for |Im theta| < pi/2, because a mixture of the two
# covariances with weights in a half-plane has no eigenvalue on the negative axis: the error is about exp(-pi^2 / STEP) = 5e-15,
# 1e-11 for the NTK at rank 3. The weight falls like 1 / cosh(theta); at the ends it is 4e-15 of its largest value.
ANGLE_STEP = 0.3
ANGLE_NODES = 24  # on either side of w = 1/2


def propagate_across(
    x1: Float[Array | np.ndarray, "batch_1 features"],
    x2: Float[Array | np.ndarray, "batch_2 features"],
    depth: int = 3,
    activation: str | Activation = "relu",
    sigma_w: float = 1.0,
    sigma_b: float = 0.0,
) -> Field:
    """NNGP and NTK between two batches of [Dense, BatchNorm, activation] x depth, then Dense(1), in infinite width.

    Each batch is normalised by its own statistics (eps = 0). Always computed in float64; relative error about 1e-11, but
    for batches that almost coincide after normalisation, at a distance d: 1e-15 / d.

    Source: as `propagate`; the two-dimensional integral of this module.

    Args:
        x1: One batch of inputs.
        x2: The other, of any size, with the same features. Equal batches give what `propagate` gives.
        depth: Number of hidden layers.
        activation: A positively homogeneous one: ReLU, leaky ReLU, the absolute value or the identity.
        sigma_w: Weight standard deviation times sqrt(fan-in).
        sigma_b: Bias standard deviation.

    Returns:
        The readout's `Field(nngp, ntk)`, each a NumPy array (batch_1, batch_2). As in `cross_batch_step`, the NTK is infinite
        where a batch varies in one direction only or both together in fewer than 3.

    Raises:
        ValueError: As `propagate` does, for features that differ, and for an activation that is not positively homogeneous.
    """
    network = make_network(depth, "batch_norm", activation, sigma_w, sigma_b)
    slope = _check(x1, x2, network)
    with jax.enable_x64(True):
        first, second = (jnp.asarray(x, jnp.float64) for x in (x1, x2))
        field = _across(first, second, network.sigma_w, network.sigma_b, network.depth, slope)
        return jax.tree.map(np.asarray, field)  # keeps float64 outside this block


def _check(x1: Array | np.ndarray, x2: Array | np.ndarray, network: Network) -> float:
    """The activation's slope, once everything is known to be in order."""
    for name, x in (("x1", x1), ("x2", x2)):
        try:
            check_input(x, network)
        except ValueError as error:
            raise ValueError(str(error).replace("`x`", f"`{name}`")) from None
    if x1.shape[1] != x2.shape[1]:
        raise ValueError(f"`x2` must have the {x1.shape[1]} features of `x1`, got {x2.shape[1]}.")
    if network.activation.slope is None:
        raise ValueError(
            f"`activation` must be positively homogeneous, got {network.activation.name!r}; "
            "try relu, leaky_relu, abs or identity."
        )
    return network.activation.slope


@compiled()
def _across(x1: Array, x2: Array, sigma_w: float, sigma_b: float, depth: int, slope: float) -> Field:
    """The cross field of the readout; the batches' means leave through the inputs, where that costs no digits."""
    x1, x2 = (x - jnp.mean(x, axis=0, keepdims=True) for x in (x1, x2))

    def dense(nngp, ntk):
        return dense_step(Field(nngp, ntk), sigma_w, sigma_b)

    def body(_, kernels):
        nngp_1, nngp_2, cross = kernels
        cross = dense(*cross_batch_step(nngp_1, nngp_2, cross, slope))
        return *(dense(batch_norm_nngp(nngp, slope), 0.0).nngp for nngp in (nngp_1, nngp_2)), cross

    start_1, start_2, cross = (dense(a @ b.T / x1.shape[1], 0.0) for a, b in ((x1, x1), (x2, x2), (x1, x2)))
    return jax.lax.fori_loop(0, depth, body, (start_1.nngp, start_2.nngp, cross))[2]


def cross_batch_step(
    nngp_1: Float[Array, "batch_1 batch_1"],
    nngp_2: Float[Array, "batch_2 batch_2"],
    cross: Field,
    slope: float = 0.0,
) -> Field:
    """NNGP and NTK between two batches after BatchNorm (eps = 0) and a positively homogeneous activation.

    Source: the formulas at the top of this module.

    Args:
        nngp_1: Covariance K_11 of the pre-activations of the first batch.
        nngp_2: K_22, of the second.
        cross: K_12 and Theta_12, (batch_1, batch_2). float64 reaches a relative error of about 1e-11.
        slope: Of the activation for negative arguments: 0 ReLU, 1 identity, -1 absolute value.

    Returns:
        The cross field of the activations. E[|v_1|^(-1) |v_2|^(-1)], and with it the NTK, is finite if each batch varies in
        at least 2 directions and both together in at least 3; otherwise the NTK is infinite, or 0 where a batch has two
        samples: its outputs are locally constant.

    Assumes:
        Infinite width; [[K_11, K_12], [K_12^T, K_22]] is positive semi-definite.
    """
    joint = _joint(centre(nngp_1), centre(cross.nngp), centre(nngp_2))
    tangent = centre(cross.ntk) / joint.scale

    def add_mixture(total, node):
        w_1, w_2, weight = node
        part = _at_mixture(joint, tangent, w_1, w_2, slope)
        return jax.tree.map(lambda sum_, f: sum_ + weight * f, total, part), None

    zeros = jnp.zeros_like(tangent)
    nodes = tuple(jnp.asarray(values, tangent.dtype) for values in _mixtures())
    (nngp, ntk), _ = jax.lax.scan(add_mixture, (zeros, zeros), nodes)
    size = (tangent.shape[0] * tangent.shape[1]) ** 0.5
    finite = joint.finite & jnp.all(jnp.isfinite(cross.ntk))
    return Field(size * nngp, jnp.where(finite, size * ntk, 0.0 if 2 in tangent.shape else jnp.inf))


@functools.cache
def _mixtures() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes w, 1 - w and weights, of sum 1, of the arcsine law."""
    u = ANGLE_STEP * np.arange(-ANGLE_NODES, ANGLE_NODES + 1)
    theta = u + 2 * np.exp(-4) * np.sinh(u)
    weight = (1 + 2 * np.exp(-4) * np.cosh(u)) / np.cosh(theta)
    return 1 / (1 + np.exp(-2 * theta)), 1 / (1 + np.exp(2 * theta)), weight / np.sum(weight)


class _Joint(NamedTuple):
    """Two batches as factors, v_a = x_a g with g standard Gaussian, both of trace 1; `scale` is sqrt(tr K_11 tr K_22)."""

    x_1: Float[Array, "batch_1 rank"]
    x_2: Float[Array, "batch_2 rank"]
    scale: Float[Array, ""]
    finite: Float[Array, ""]


def _joint(sigma_11: Array, sigma_12: Array, sigma_22: Array) -> _Joint:
    """The factors of a joint covariance, and whether the NTK is finite."""
    first, second = spectrum(sigma_11), spectrum(sigma_22)
    scale = jnp.sqrt(first.scale * second.scale)
    corner = sigma_12 / scale
    both = spectrum(jnp.block([[sigma_11 / first.scale, corner], [corner.T, sigma_22 / second.scale]]))
    x = both.vectors * jnp.sqrt(both.values * both.scale)
    finite = (rank(both) >= 3) & (rank(first) >= 2) & (rank(second) >= 2)
    return _Joint(x[: corner.shape[0]], x[corner.shape[0] :], scale, finite)


def _at_mixture(joint: _Joint, tangent: Array, w_1: Array, w_2: Array, slope: float) -> tuple[Array, Array]:
    """The integrals over r of both kernels at one w, in the eigenbasis of the mixture of trace 1.

    A singular value decomposition, because the directions of a batch whose share w is small must not drown in rounding.
    """
    _, singular, basis = jnp.linalg.svd(jnp.concatenate([jnp.sqrt(w_1) * joint.x_1, jnp.sqrt(w_2) * joint.x_2]))
    values = singular**2
    x_1, x_2 = joint.x_1 @ basis.T, joint.x_2 @ basis.T
    left, right = x_1.T @ tangent, tangent @ x_2
    across = left @ x_2
    across = across + across.T

    def integrand(r):
        damping = 1 / (1 + 2 * r[:, None, None] * values)
        s, t = r[:, None, None] * w_1, r[:, None, None] * w_2
        tilted_1, tilted_2 = x_1 * damping, x_2 * damping
        s_12 = tilted_1 @ x_2.T
        dual = _cross_dual(jnp.sum(tilted_1 * x_1, axis=2), jnp.sum(tilted_2 * x_2, axis=2), s_12, slope)
        from_left = tangent - 2 * s * (tilted_1 @ left)  # T - 2 s S_11 T
        from_right = tangent - 2 * t * ((right * damping) @ x_2.T)  # T - 2 t T S_22
        w = from_left + from_right - tangent + 4 * s * t * ((tilted_1 @ across * damping) @ x_2.T)
        a = -2 * t * jnp.sum(from_left * s_12, axis=2, keepdims=True)
        b = -2 * s * jnp.sum(from_right * s_12, axis=1, keepdims=True)
        trace = jnp.sum(tangent * s_12, axis=(1, 2), keepdims=True)
        return dual.v, dual.v_c * w + 2 * dual.v_1 * a + 2 * dual.v_2 * b + 4 * s * t * trace * dual.v

    return integrate(integrand, values, power=1)


def _cross_dual(q_1: Array, q_2: Array, c: Array, slope: float) -> Dual:
    """Dual of every pair of one sample of each batch, for a stack of nodes.

    A determinant within rounding of 0 (64 eps, an angle of 1e-7) is that of samples that coincide, as those of equal batches do.
    """
    q_1, q_2 = q_1[:, :, None], q_2[:, None, :]
    root = determinant_root(q_1, q_2, c)
    coincide = root**2 <= 64 * jnp.finfo(c.dtype).eps * q_1 * q_2
    return homogeneous_dual(q_1, q_2, c, jnp.where(coincide, 0, root), slope)
