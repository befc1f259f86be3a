"""One setting of a normaliser on a population that has a name: what a study measures, from parameters that stand in its table."""

from jaxtyping import Array

from ntkcheck import data
from ntkcheck.disturbance.cells import normalizer_disturbance
from ntkcheck.disturbance.settings import digest
from ntkcheck.measurement import Measurement


def setting_disturbance(
    key: Array,
    population: str,
    normalizer: str,
    batch_size: int,
    features: int,
    group_size: int | None,
    iterations: int | None,
    draws: int,
    samples: int,
    seed: int,
) -> list[Measurement]:
    """What `normalizer_disturbance` measures, shared design with replacement: SND, the output's spectrum and the laws.

    Args:
        key: Of the draws.
        population: A name of `data.POPULATIONS`.
        normalizer: A name of `disturbance.normalizer.NAMES`.
        batch_size: m.
        features: d.
        group_size: g, None where there are no groups.
        iterations: Newton steps, None where there are none.
        draws: Batches of an anchor, on average; all samples are anchors, up to 2000.
        samples: Of the population, at most.
        seed: Of the population.
    """
    inputs = digest(data.population(population, samples, features, seed).x)
    return normalizer_disturbance(
        key,
        population=population,
        inputs=inputs,
        normalizer=normalizer,
        batch_size=batch_size,
        features=features,
        group_size=group_size,
        iterations=iterations,
        anchors=samples,
        draws=draws,
        design="shared",
        replacement=True,
        samples=samples,
        seed=seed,
    )
