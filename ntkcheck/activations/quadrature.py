"""Gaussian expectations of any smooth activation, by its Hermite expansion."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck.activations.activation import Activation

Function = Callable[[Array], Array]

_RADIUS = 11.0  # He_n(x) / sqrt(n!) times the normal density is below exp(-x^2 / 4): 7e-14 here


@functools.cache
def from_function(phi: Function, name: str, degree: int = 256) -> Activation:
    """The activation that a smooth function of one variable defines.

    With a_n(q) = E[phi(sqrt(q) x) He_n(x)] / sqrt(n!), x standard normal, Mehler's formula is
    E[phi(u) phi(v)] = sum_n a_n(q1) a_n(q2) c^n, c = k12 / sqrt(q1 q2), cut off after n = degree. The coefficients are
    trapezoidal sums, one matrix product for a batch: pass q1 and q2 unbroadcast ((batch, 1) and (1, batch)), and an
    entry of the kernel costs 2 degree multiplications and phi is evaluated batch x nodes times. Derivatives of phi come
    from forward-mode differentiation, those of the duals from Price's theorem.

    The part cut off is at most sqrt(tail(q1) tail(q2)) |c|^degree, tail(q) = E[phi(u)^2] - sum_n a_n(q)^2, which
    `truncation_error` measures. For phi analytic in the strip |Im t| < d, a_n falls like exp(-d sqrt(n / q)). A relative
    error of 1e-10 at c = 1 takes a degree of 160 q / d^2 for the dual and 220 q / d^2 for the dual derivative (measured
    on tanh, q from 1 to 100), so the default serves q <= 2.8 for d = pi/2 (tanh) and q <= 11 for d = pi (softplus,
    SiLU). It takes less where |c| stays below 1. The moments of one variable do not depend on the degree.

    Source: Mehler (1866); Daniely, Frostig & Singer (2016), Toward deeper understanding of neural networks.

    Args:
        phi: maps an array elementwise; `jax.numpy` operations only.
        name: the activation's name.
        degree: the last degree of the expansion, >= 1.

    Returns:
        The activation. Calls with equal arguments return the same object.

    Raises:
        ValueError: `degree` is below 1, or `phi` does not keep the shape of its argument.

    Assumes:
        phi is smooth (a kink makes the error fall only like a power of the degree) and grows at most like a polynomial
        or an exponential.
    """
    if degree < 1:
        raise ValueError(
            f"`degree` must be at least 1, got {degree}; 256 serves smooth functions at variances up to 3."
        )
    shape = jax.eval_shape(phi, jax.ShapeDtypeStruct((2, 3), jnp.float32)).shape
    if shape != (2, 3):
        raise ValueError(
            f"`phi` must act elementwise, got shape {shape} for an argument of shape (2, 3); try jnp.vectorize."
        )
    return Activation(
        name=name,
        phi=phi,
        duals=lambda q1, q2, k12: (
            cross_dual(phi, phi, degree, q1, q2, k12),
            cross_dual(derivative(phi), derivative(phi), degree, q1, q2, k12),
        ),
        mean=lambda q: expectation(phi, q),
        second_moment=lambda q: expectation(square(phi), q),
        derivative_second_moment=lambda q: expectation(square(derivative(phi)), q),
    )


def truncation_error(phi: Function, q: Float[Array, "..."], degree: int = 256) -> Float[Array, "..."]:
    """The share of E[phi(u)^2] that the Hermite expansion leaves out: tail(q) / E[phi(u)^2].

    It bounds |error of the dual| / sqrt(E[phi(u)^2] E[phi(v)^2]) at equal variances, up to rounding (1e-15 in float64).

    Args:
        phi: maps an array elementwise.
        q: variance of u, > 0.
        degree: the last degree of the expansion.
    """
    kept = jnp.sum(hermite_coefficients(phi, degree, q) ** 2, axis=-1)
    return jnp.abs(1 - kept / expectation(square(phi), q))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def cross_dual(
    phi: Function,
    psi: Function,
    degree: int,
    q1: Float[Array, "..."],
    q2: Float[Array, "..."],
    k12: Float[Array, "..."],
) -> Float[Array, "..."]:
    """The expectation E[phi(u) psi(v)] = sum_n a_n(q1) b_n(q2) c^n.

    Args:
        phi: function of u.
        psi: function of v.
        degree: the last degree of the expansion.
        q1: variance of u, >= 0.
        q2: variance of v, >= 0.
        k12: covariance of u and v.
    """
    a = jnp.moveaxis(hermite_coefficients(phi, degree, q1), -1, 0)
    b = jnp.moveaxis(hermite_coefficients(psi, degree, q2), -1, 0)
    r = jnp.sqrt(q1) * jnp.sqrt(q2)
    c = k12 / jnp.where(r > 0, r, 1)  # at r = 0 all coefficients but the first vanish
    return _sum_of_powers(a, b, c)


@cross_dual.defjvp
def _cross_dual_jvp(
    phi: Function, psi: Function, degree: int, primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Array, Array]:
    dq1, dq2, dk12 = tangents
    phi_1, psi_1 = derivative(phi), derivative(psi)
    by_q1 = cross_dual(derivative(phi_1), psi, degree, *primals) / 2
    by_q2 = cross_dual(phi, derivative(psi_1), degree, *primals) / 2
    by_k12 = cross_dual(phi_1, psi_1, degree, *primals)
    return cross_dual(phi, psi, degree, *primals), by_q1 * dq1 + by_q2 * dq2 + by_k12 * dk12


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def expectation(phi: Function, q: Float[Array, "..."]) -> Float[Array, "..."]:
    """The expectation E[phi(u)], u ~ N(0, q), by the trapezoidal rule.

    Its error falls like exp(-2 pi d / (h sqrt q)) for phi analytic in |Im t| < d: 3e-16 for tanh at q = 100.

    Args:
        phi: function of u.
        q: variance, >= 0.
    """
    x, h = np.linspace(-_RADIUS, _RADIUS, 801, retstep=True)
    weights = h * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return jnp.sum(phi(jnp.sqrt(q)[..., None] * jnp.asarray(x, q.dtype)) * jnp.asarray(weights, q.dtype), axis=-1)


@expectation.defjvp
def _expectation_jvp(phi: Function, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (q,), (dq,) = primals, tangents
    return expectation(phi, q), expectation(derivative(derivative(phi)), q) / 2 * dq


def hermite_coefficients(phi: Function, degree: int, q: Float[Array, "..."]) -> Float[Array, "... {degree}+1"]:
    """The coefficients a_n(q) = E[phi(sqrt(q) x) He_n(x)] / sqrt(n!) for n = 0 to `degree`.

    Args:
        phi: function of one variable.
        degree: the last n.
        q: variance, >= 0.
    """
    x, table = (jnp.asarray(values, q.dtype) for values in _hermite_table(degree))
    return jnp.matmul(phi(jnp.sqrt(q)[..., None] * x), table, precision="highest")


@jax.jit
def _sum_of_powers(a: Array, b: Array, c: Array) -> Array:
    """The sum over n of a_n b_n c^n by Horner's rule, n along the first axis of a and b."""

    def horner(value: Array, term: tuple[Array, Array]) -> tuple[Array, None]:
        return value * c + term[0] * term[1], None

    return jax.lax.scan(horner, jnp.zeros_like(c), (a, b), reverse=True, unroll=16)[0]


@functools.cache
def derivative(phi: Function) -> Function:
    """The derivative of an elementwise function."""
    return lambda t: jax.jvp(phi, (t,), (jnp.ones_like(t),))[1]


@functools.cache
def square(phi: Function) -> Function:
    """The square of a function."""
    return lambda t: phi(t) ** 2


@functools.cache
def _hermite_table(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Equispaced nodes x and the table of h He_n(x) g(x) / sqrt(n!), n along the columns, g the normal density.

    He_n g has frequencies up to about sqrt(n) + 8, and what phi adds to them fits into 1.5 sqrt(degree) where the
    expansion converges; the step h puts the first alias above both.
    """
    half = math.ceil(_RADIUS * (2.5 * math.sqrt(degree) + 8) / (2 * math.pi))
    x = np.linspace(-_RADIUS, _RADIUS, 2 * half + 1)
    columns = [(x[1] - x[0]) * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)]
    columns.append(x * columns[0])
    for n in range(1, degree):
        columns.append((x * columns[n] - math.sqrt(n) * columns[n - 1]) / math.sqrt(n + 1))
    return x, np.stack(columns, axis=1)
