"""What a measurement of SND returns, and how it follows from the distances that a design has measured."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ntkcheck.snd.batches import anchor_factor
from ntkcheck.stats import Estimate


class Deviations(NamedTuple):
    """How far normalised anchors lay from their means over batches, as a design measured it.

    Attributes:
        distances: For each anchor, the mean over its s draws of the distance to their mean (the paper's estimator).
        scatter: For each anchor, the variance of these distances over draws.
        draws: s, the number of draws of each anchor.
        draw_variance: Variance that the mean of `distances` has through the batches, given the anchors; None where every anchor
            has batches of its own, and `scatter` gives it.
        mate_variance: Variance that it has through the anchors, where they are each other's mates too; 0 where they are not.
        repeated: Probability that two draws of an anchor are from the same batch, which held it twice; 0 where that cannot be.
        mean_square: Mean over anchors, draws and features of the squared output.
        samples: Number of samples of the population.
        batches: Number of batches that were normalised.
        broken: Number of outputs that were not finite.
    """

    distances: Float[np.ndarray, " anchors"]
    scatter: Float[np.ndarray, " anchors"]
    draws: Float[np.ndarray, " anchors"]
    draw_variance: float | None
    mate_variance: float
    repeated: float
    mean_square: float
    samples: int
    batches: int
    broken: int


class Disturbance(NamedTuple):
    """The stochastic normalisation disturbance of a normaliser on a population, with what it rests on.

    Attributes:
        value: SND, the mean over anchors x of E_B |F(B; x) - E_B F(B; x)|, corrected for the number of draws.
        sem: Its standard error, with the correlation between anchors.
        biased: The paper's estimator: distances to the mean of the same draws.
        sem_anchors: The standard error that a finite number of anchors gives; without replacement, where the population is what is
            measured, 0 once all of it are anchors.
        sem_draws: The standard error, given the anchors, that a finite number of batches gives.
        relative: SND over the root mean square of the normalised values, which a normaliser that shrinks its output does not
            lower.
        relative_sem: Its standard error; that of the root mean square is left out.
        rms: The root mean square of the normalised values.
        anchors: Number of anchors.
        draws: Number of batches that an anchor was in, on average.
        batches: Number of batches that were normalised.
        design: How anchors and batches were combined.
        replacement: Whether the samples of a batch were drawn independently.
        finite_population_factor: What drawing without replacement multiplies SND by, to first order; 1 with replacement.
        broken: Number of outputs that were not finite; if there is one, value and errors are NaN, and that is the result.
    """

    value: float
    sem: float
    biased: float
    sem_anchors: float
    sem_draws: float
    relative: float
    relative_sem: float
    rms: float
    anchors: int
    draws: float
    batches: int
    design: str
    replacement: bool
    finite_population_factor: float
    broken: int

    @property
    def estimate(self) -> Estimate:
        """Value, standard error and number of anchors."""
        return Estimate(self.value, self.sem, self.anchors)

    @property
    def breakdown(self) -> str | None:
        """Why there is no value, or None where there is one."""
        if not self.broken:
            return None
        total = round(self.anchors * self.draws)
        return f"the normaliser returned values that are not finite for {self.broken} of {total} samples of batches"


def correction(draws: Float[np.ndarray, " anchors"], repeated: float = 0.0) -> Float[np.ndarray, " anchors"]:
    """1 / sqrt((1 - 1/s) (1 - rho)), which undoes the bias of distances to the mean of the same s draws.

    Draws that are equal with probability rho and else independent: F_i - mean_j F_j has (1 - 1/s) (1 - rho) times the covariance of
    F_i - E F. Exact for Gaussian fluctuations; for others (kappa - 1) / (2 s) of SND is left, kappa = 1 for Gaussian ones.
    """
    return 1 / np.sqrt((1 - 1 / draws) * (1 - repeated))


def summarize(found: Deviations, design: str, replacement: bool, factor: float) -> Disturbance:
    """SND with its standard errors, from the distances; anchors that were not drawn twice have none and are left out."""
    seen = found.draws > 1
    draws, anchors = found.draws[seen], int(seen.sum())
    each = np.where(found.broken, np.nan, found.distances[seen])
    corrected = each * correction(draws, found.repeated)
    value, biased = float(corrected.mean()), float(each.mean())
    scale = value / biased if biased else 1.0
    own = scale**2 * float(np.mean(found.scatter[seen] / draws)) / anchors
    between = float(corrected.var(ddof=1)) / anchors - own
    anchor_variance = anchor_factor(found.samples, anchors, replacement) * max(
        between, scale**2 * found.mate_variance, 0.0
    )
    draw_variance = own if found.draw_variance is None else scale**2 * found.draw_variance
    rms = math.sqrt(found.mean_square)
    sem = math.sqrt(anchor_variance + draw_variance)
    return Disturbance(
        value,
        sem,
        biased,
        math.sqrt(anchor_variance),
        math.sqrt(draw_variance),
        value / rms,
        sem / rms,
        rms,
        anchors,
        float(draws.mean()),
        found.batches,
        design,
        replacement,
        factor,
        found.broken,
    )
