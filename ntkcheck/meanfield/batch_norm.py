"""BatchNorm followed by a positively homogeneous activation, exactly, by a one-dimensional integral.

With v = G u the centred pre-activations of one neuron over the batch, v ~ N(0, Sigma), Sigma = G K G, G = I - 1 1^T / B, the
layer's output is phi(sqrt(B) v / |v|) = sqrt(B) phi(v) / |v|, and its derivative in a tangent t, with D = diag(phi'(v)),

    sqrt(B) D (t / |v| - v (v.t) / |v|^3).

Every |v|^(-2k) is an integral over s of s^(k-1) exp(-s |v|^2) / (k-1)!, and the factor exp(-s |v|^2) turns N(0, Sigma) into
N(0, Sigma_s), Sigma_s = Sigma (I + 2 s Sigma)^(-1), at the price of det(I + 2 s Sigma)^(-1/2). The remaining expectations are
those of the dual V(q_i, q_j, c) = E[phi(v_i) phi(v_j)] and its derivatives, by Price's theorem and Stein's lemma.

Source: Yang et al. 2019, A mean field theory of batch normalization, appendix (the Laplace method); paper_notes.md,
"BatchNorm exactly".
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.meanfield.field import Field
from ntkcheck.meanfield.laplace import centre, integrate, rank, spectrum, symmetric_dual


def batch_norm_step(field: Field, slope: float = 0.0) -> Field:
    """NNGP and NTK after BatchNorm (eps = 0) and a positively homogeneous activation.

    K' = B int V ds and Theta' = B int [E_1 - s (E_2 + E_2^T) + (s^2 / 2) E_3] ds under the weight det(I + 2 s Sigma)^(-1/2), with

        E_1 = V_c o T,   E_2 = 2 V_1 o diag(T Sigma_s) 1^T + V_c o (T Sigma_s),
        E_3 = tr(T Sigma_s) V + 2 (V_1 o m 1^T + V_2 o 1 m^T + V_c o M),   M = Sigma_s T Sigma_s, m = diag(M), T = G Theta G.

    Args:
        field: NNGP and NTK of the pre-activations. float64 reaches a relative error of about 1e-11.
        slope: Of the activation for negative arguments: 0 ReLU, 1 identity, -1 absolute value.

    Returns:
        The field of the activations. The NTK is infinite (E |v|^(-2) diverges) unless the batch varies in 3 directions; with 2
        samples it is 0, because the outputs, +-1 before the activation, are locally constant.

    Assumes:
        Infinite width.
    """
    sigma = spectrum(centre(field.nngp))
    tangent = centre(field.ntk) / sigma.scale

    def integrand(s):
        sigma_s = sigma.tilted(s)
        dual = symmetric_dual(sigma_s, slope)
        t_sigma = tangent @ sigma_s
        return dual.v, _tangent_moment(s[:, None, None], dual, tangent, t_sigma, sigma_s @ t_sigma)

    nngp, ntk = integrate(integrand, sigma.values, power=1)
    batch = field.nngp.shape[0]
    finite = (rank(sigma) >= 3) & jnp.all(jnp.isfinite(field.ntk))
    return Field(batch * nngp, jnp.where(finite, batch * ntk, 0.0 if batch == 2 else jnp.inf))


def _tangent_moment(s, dual, tangent, t_sigma, m):
    """E_1 - s (E_2 + E_2^T) + (s^2 / 2) E_3 for a stack of nodes."""
    diagonal = jnp.diagonal(t_sigma, axis1=1, axis2=2)[:, :, None]
    m_i = jnp.diagonal(m, axis1=1, axis2=2)[:, :, None]
    e_1 = dual.v_c * tangent
    e_2 = 2 * dual.v_1 * diagonal + dual.v_c * t_sigma
    trace = jnp.sum(diagonal, axis=1, keepdims=True)
    e_3 = trace * dual.v + 2 * (dual.v_1 * m_i + dual.v_2 * m_i.mT + dual.v_c * m)
    return e_1 - s * (e_2 + e_2.mT) + s**2 / 2 * e_3


def batch_norm_nngp(nngp: Float[Array, "batch batch"], slope: float = 0.0) -> Float[Array, "batch batch"]:
    """NNGP alone after BatchNorm and a positively homogeneous activation: `slope` 1 gives the normalised pre-activations'.

    Args:
        nngp: Covariance K of the pre-activations over the batch.
        slope: As in `batch_norm_step`.

    Returns:
        K' = B int E[phi(v) phi(v)^T] ds; finite for every batch that varies at all.
    """
    sigma = spectrum(centre(nngp))
    # power=1 gives the nodes of `batch_norm_step` and `cross_batch_step`: kernels of equal batches stay equal to rounding.
    return nngp.shape[0] * integrate(lambda s: symmetric_dual(sigma.tilted(s), slope).v, sigma.values, power=1)
