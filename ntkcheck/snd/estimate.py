"""The stochastic normalisation disturbance of any normaliser on any population, measured."""

import numpy as np
from jaxtyping import Array, Float

from ntkcheck import normalizers
from ntkcheck.normalizers import Function, Normalizer
from ntkcheck.snd.anchored import anchored
from ntkcheck.snd.arguments import check_count, check_design, check_key, checked_population
from ntkcheck.snd.batches import finite_population_factor
from ntkcheck.snd.result import Disturbance, summarize
from ntkcheck.snd.shared import shared
from ntkcheck.stats import Estimate

DESIGNS = {"shared": shared, "anchored": anchored}


def estimate(
    normalizer: str | Function | Normalizer,
    population: Float[np.ndarray, "samples features"] | Float[Array, "samples features"],
    batch_size: int = 64,
    anchors: int = 200,
    draws: int = 200,
    *,
    key: Array,
    design: str = "shared",
    replacement: bool = True,
    group_size: int | None = None,
    iterations: int = 5,
    eps: float = 0.0,
) -> Estimate:
    """SND, E_x E_B |F(B; x) - E_B F(B; x)|, over batches B of `batch_size` samples that contain x.

    Source: IterNorm (arXiv 1904.03441), definition of SND; claim IN-2. `disturbance` gives the same with all that it rests on,
    and says what the arguments are.

    Returns:
        The value, corrected for the number of draws, its standard error and the number of anchors.
    """
    return disturbance(
        normalizer,
        population,
        batch_size,
        anchors,
        draws,
        key=key,
        design=design,
        replacement=replacement,
        group_size=group_size,
        iterations=iterations,
        eps=eps,
    ).estimate


def disturbance(
    normalizer: str | Function | Normalizer,
    population: Float[np.ndarray, "samples features"] | Float[Array, "samples features"],
    batch_size: int = 64,
    anchors: int = 200,
    draws: int = 200,
    *,
    key: Array,
    design: str = "shared",
    replacement: bool = True,
    group_size: int | None = None,
    iterations: int = 5,
    eps: float = 0.0,
) -> Disturbance:
    """SND with its standard errors, its bias, and SND over the root mean square of the output.

    Source: IterNorm (arXiv 1904.03441), definition of SND and its estimator; claims IN-2 to IN-5.

    Args:
        normalizer: A name of `normalizers.NAMES`, a function (batch, features) -> (batch, features), or a `Normalizer`.
        population: Samples as rows, any scale; its dtype is that of the computation.
        batch_size: m, the number of samples of a batch, x included.
        anchors: Number of samples x; in the shared design at least that many.
        draws: s, the number of batches of an anchor, at least 2; in the shared design their mean number.
        key: Of the draws.
        design: "shared", where all samples of a batch are anchors and which is the faster by up to a factor m; or "anchored",
            the paper's, where every anchor has batches of its own.
        replacement: Whether the samples of a batch are drawn independently, so that the population stands for the law that it was
            drawn from. Otherwise they differ, as in training; SND then is lower by `finite_population_factor` to first order.
        group_size: Features per group of the whitenings (16 unless given).
        iterations: Newton steps of IterNorm.
        eps: Added to variances; 0 is the theory's case.

    Returns:
        The measurement. Where the normaliser breaks down it has no value and says how often that happened.

    Raises:
        ValueError: For a population, batch size, group size or number that will not do.

    Assumes:
        a normaliser whose output for a sample does not depend on the order of the others.
    """
    kind = normalizers.get(normalizer, group_size, iterations, eps)
    check_design(design, tuple(DESIGNS))
    check_key(key)
    check_count("anchors", anchors, 2, "a standard error is over anchors")
    check_count("draws", draws, 2, "a distance to a mean needs a second draw")
    x = checked_population(population, batch_size, kind)
    found = DESIGNS[design](key, kind, x, batch_size, anchors, draws, replacement)
    return summarize(found, design, replacement, finite_population_factor(len(x), batch_size, replacement))
