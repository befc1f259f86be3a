"""E sqrt(S) of a sum of squares from its Laplace transform."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

# The trapezoidal rule in log t for an analytic integrand: its error is of the order exp(-2 pi (pi / 2) / STEP) = 7e-18. It falls
# off like t^(3/2) at 0 and at least like t^(-1/2) at infinity, relative to its largest values: 1e-15 at the ends.
STEP, LOW, HIGH = 0.25, -24.0, 72.0


def mean_norm(
    laplace: Callable[[Float[np.ndarray, " times"]], Float[np.ndarray, " times"]], second_moment: float
) -> float:
    """E sqrt(S) = sqrt(c) + (1 / (2 sqrt(pi))) int_0^inf (exp(-t c) - E exp(-t S)) t^(-3/2) dt with c = E S.

    Args:
        laplace: t -> E exp(-t S), S >= 0.
        second_moment: E S, positive and finite.
    """
    log_t = np.arange(LOW, HIGH, STEP)
    t = np.exp(log_t) / second_moment
    difference = np.exp(-t * second_moment) - laplace(t)
    integral = STEP * float(np.sum(difference / np.sqrt(t)))
    return second_moment**0.5 + integral / (2 * np.pi**0.5)


def gaussian_mean_norm(variances: Float[np.ndarray, " features"]) -> float:
    """E |e| for independent Gaussians of these variances, of which E exp(-t |e|^2) = prod_i (1 + 2 t v_i)^(-1/2)."""
    total = float(variances.sum())
    return mean_norm(lambda t: np.exp(-0.5 * np.log1p(2 * t[:, None] * variances).sum(1)), total) if total else 0.0
