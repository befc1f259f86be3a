"""Fits of y = prefactor x^exponent, for errors that fall as a power of the width, the batch or the samples."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ntkcheck.stats.arguments import finite_vector
from ntkcheck.stats.estimate import Estimate


class PowerLaw(NamedTuple):
    """The fitted law y = prefactor x^exponent.

    In both estimates `n` is the degrees of freedom plus one, so that `interval` uses Student's t with `dof`. `chi2` is the
    weighted sum of squared residuals of log y; without standard errors its weights are 1.
    """

    exponent: Estimate
    prefactor: Estimate
    chi2: float
    dof: int


def fit_power_law(
    x: Float[np.ndarray, " points"],
    y: Float[np.ndarray, " points"],
    sem: Float[np.ndarray, " points"] | None = None,
) -> PowerLaw:
    """Weighted least squares of log y on log x, with weights 1 / sigma^2, sigma = sem / y (delta method).

    With w the weights and <.> the weighted mean: exponent = <dx dy> / <dx^2>, log prefactor = <log y> - exponent <log x>,
    and both errors are multiplied by sqrt(chi2 / dof) where that exceeds 1: a law that fits worse than its standard errors
    allow is reported with the scatter that is seen. Without standard errors the scatter alone sets the errors.

    Args:
        x: at least three positive values, not all equal (widths, batch sizes).
        y: the positive quantity at each x.
        sem: its standard errors, positive; None where they are unknown, and then all points count alike in log y.

    Raises:
        ValueError: for fewer than three points, values that are not positive, lengths that differ, or equal x.

    Assumes:
        independent points, and sem small against y (the bias of log y is about (sem / y)^2 / 2).
    """
    points = _positive_points(x, y, sem)
    log_x, log_y = np.log(points[0]), np.log(points[1])
    sigma = points[2] / points[1] if sem is not None else np.ones_like(log_y)
    w = sigma**-2
    mean_x, mean_y = np.average(log_x, weights=w), np.average(log_y, weights=w)
    dx = log_x - mean_x
    spread = np.sum(w * dx**2)
    if spread == 0:
        raise ValueError(f"`x` must hold at least two different values, got {points[0][0]} throughout; vary it.")
    exponent = np.sum(w * dx * (log_y - mean_y)) / spread
    log_prefactor = mean_y - exponent * mean_x
    chi2 = np.sum(w * (log_y - log_prefactor - exponent * log_x) ** 2)
    dof = len(log_x) - 2
    inflation = chi2 / dof if sem is None else max(1.0, chi2 / dof)
    exponent_sem = math.sqrt(inflation / spread)
    log_prefactor_sem = math.sqrt(inflation * (1 / np.sum(w) + mean_x**2 / spread))
    prefactor = math.exp(log_prefactor)
    return PowerLaw(
        exponent=Estimate(float(exponent), exponent_sem, dof + 1),
        prefactor=Estimate(prefactor, prefactor * log_prefactor_sem, dof + 1),
        chi2=float(chi2),
        dof=dof,
    )


def _positive_points(x: np.ndarray, y: np.ndarray, sem: np.ndarray | None) -> list[np.ndarray]:
    given = {"x": x, "y": y} | ({} if sem is None else {"sem": sem})
    vectors = {argument: finite_vector(argument, values, fewest=3) for argument, values in given.items()}
    for argument, vector in vectors.items():
        if len(vector) != len(vectors["x"]):
            raise ValueError(
                f"`{argument}` must be as long as `x`, got {len(vector)} against {len(vectors['x'])}; pair them."
            )
        if vector.min() <= 0:
            worst = int(vector.argmin())
            raise ValueError(
                f"`{argument}` must be positive, got {vector[worst]} at index {worst}; "
                "a power law has no other values, leave that point out."
            )
    return list(vectors.values())
