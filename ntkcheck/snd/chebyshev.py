"""Newton's polynomial p_T of IterNorm as a short Chebyshev expansion."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.polynomial import chebyshev

TOLERANCE = 1e-8
MOST_ITERATIONS = 10  # degree 236 on [0, 1]; from here on whole batches are cheaper
DEGREES = 2  # degrees are rounded up to a multiple of this, so that fewer programs are compiled


def newton_polynomial(s: Float[np.ndarray, "*points"], iterations: int) -> Float[np.ndarray, "*points"]:
    """p_T(s): p <- (3 p - p^3 s) / 2 from p = 1, a polynomial of degree (3^T - 1) / 2.

    Source: IterNorm (arXiv 1904.03441), Newton's iteration for one eigenvalue.
    """
    p = np.ones_like(s)
    for _ in range(iterations):
        p = 1.5 * p - 0.5 * p**3 * s
    return p


def newton_coefficients(iterations: int, end: float, dtype: np.dtype) -> tuple[Array, Array]:
    """Coefficients c_k of p_T(s) = sum_k c_k T_k(2 s / end - 1) on [0, end], and `end`.

    The tail that is left out sums to less than 1e-8, in single precision the rounding, of p_T's least value there. T = 5 on [0, 1]:
    degree 27 to 1e-7.

    Args:
        iterations: T, 1 to 10.
        end: In (0, 1]; the degree grows like 1.5^T sqrt(end).
        dtype: Of the result.
    """
    tolerance = max(TOLERANCE, float(jnp.finfo(dtype).eps))
    degree = 32
    while True:
        u = chebyshev.chebpts1(degree + 1)
        found = np.linalg.solve(chebyshev.chebvander(u, degree), newton_polynomial(end * (u + 1) / 2, iterations))
        tail = np.cumsum(np.abs(found[::-1]))[::-1]
        short = tail < tolerance * newton_polynomial(np.array(end), iterations)
        # The last coefficients of an interpolant are folded; half of them must be negligible before the cut is trusted.
        if short[degree // 2]:
            break
        degree *= 2
    length = -(-max(2, int(np.argmax(short))) // DEGREES) * DEGREES
    return jnp.asarray(found[:length], dtype), jnp.asarray(end, dtype)
