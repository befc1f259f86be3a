"""Parameters of `outcome.measure`, complete, so that the same training has the same key wherever it is asked for."""

from typing import Any

from ntkcheck.training import task
from ntkcheck.training.networks import SMALL
from ntkcheck.training.recipe import Recipe

POPULATION = 2048
SCALE_RATES = {"scaled_batch_norm": 0.01}  # arXiv 2110.13989: gamma's learning rate divided by 100


def cell(
    model: str,
    normalizer: str,
    recipe: Recipe,
    seed: int,
    *,
    data: str = "digits",
    image: int | None = None,
    form: str = "cifar",
    inputs: str = "standardized",
    group_size: int | None = None,
    scale_rate: float | None = None,
    population: int = POPULATION,
    every: int = 1,
    precision: str = "highest",
    device: str = "cpu",
) -> dict[str, Any]:
    """What `outcome.measure` is called with; the data are loaded for their digest.

    Args:
        model: One of `networks.NAMES`.
        normalizer: One of `networks.NORMALIZERS`.
        recipe: How it is trained.
        seed: Of everything random.
        data: As `task.load` takes it.
        image: Side of the images; 8 for the small network, else 32, or 224 in the ImageNet form, unless given.
        form: "cifar" or "imagenet".
        inputs: One of `task.INPUTS`.
        group_size: Channels per group of whitenings.
        scale_rate: Factor of the learning rate of the normalisers' scales; 1/100 for scaled_batch_norm and else 1, unless given.
        population: Training images, at most, for the statistics of the test; 0 leaves out the test.
        every: Steps between the points of the curves.
        precision: Of convolutions and matrix products.
        device: "cpu" or "gpu".
    """
    side = image or default_side(model, form)
    return {
        "model": model,
        "normalizer": normalizer,
        "form": form,
        "image": side,
        "data": data,
        "digest": task.load(data, side, inputs).digest,
        "inputs": inputs,
        "group_size": group_size,
        "scale_rate": SCALE_RATES.get(normalizer, 1.0) if scale_rate is None else scale_rate,
        "population": population,
        "every": every,
        "seed": seed,
        "precision": precision,
        "device": device,
        **recipe._asdict(),
    }


def default_side(model: str, form: str) -> int:
    """Side of the images that a network is usually given."""
    return 8 if model == SMALL else {"cifar": 32, "imagenet": 224}[form]
