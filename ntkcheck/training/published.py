"""The trainings that claims rest on, as cells of `outcome.measure`."""

from typing import Any

from ntkcheck.training.cells import cell
from ntkcheck.training.networks import SMALL
from ntkcheck.training.recipe import Recipe

LEARNING_RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
TUNED_MODELS = ("vgg11", "resnet18")
TUNED_NORMALIZERS = ("none", "last_batch_norm", "mimic_norm")
TUNED_STEPS = 200
SEEDS = 5
BATCH = 64
PAIRED_SEEDS = 15
PAIRED_STEPS = 330  # 15 epochs of 22 batches
SMALL_STEPS = 660  # 30 epochs of 22 batches
CIFAR_EPOCHS = 200
CIFAR_STEPS = 390  # of an epoch
WEIGHT_DECAY = 5e-4
DROPS = (0.5, 0.75)


def tuned(model: str, normalizer: str, learning_rate: float, seed: int, device: str, precision: str = "highest"):
    """A training of claim MN-9: constant learning rate, momentum 0.9, no weight decay, every step on record, no test."""
    recipe = Recipe(learning_rate, TUNED_STEPS, BATCH)
    return cell(model, normalizer, recipe, seed, population=0, device=device, precision=precision)


def all_tuned(device: str, precision: str = "highest") -> list[dict[str, Any]]:
    """Every training of claim MN-9, one network after the other, so that each is compiled for once."""
    return [
        tuned(model, normalizer, rate, seed, device, precision)
        for model in TUNED_MODELS
        for normalizer in TUNED_NORMALIZERS
        for rate in LEARNING_RATES
        for seed in range(SEEDS)
    ]


def paired(normalizer: str, seed: int, device: str, precision: str = "highest") -> dict[str, Any]:
    """A training of ResNet-18 of claims RB-2 and RB-4: learning rate 0.1, divided by 10 at 1/2 and 3/4 of 15 epochs."""
    recipe = Recipe(0.1, PAIRED_STEPS, BATCH, weight_decay=WEIGHT_DECAY, drops=DROPS)
    return cell("resnet18", normalizer, recipe, seed, device=device, precision=precision)


def all_paired(device: str, precision: str = "highest") -> list[dict[str, Any]]:
    """Every training of ResNet-18 of claims RB-2 and RB-4."""
    normalizers = ("batch_norm", "scaled_batch_norm")
    return [paired(normalizer, seed, device, precision) for normalizer in normalizers for seed in range(PAIRED_SEEDS)]


def small(
    normalizer: str, seed: int, *, inputs: str = "standardized", scale_rate: float | None = None, device: str = "cpu"
) -> dict[str, Any]:
    """A training of the small network of claims RB-2, RB-4 and RB-5: the same recipe for 30 epochs."""
    recipe = Recipe(0.1, SMALL_STEPS, BATCH, weight_decay=WEIGHT_DECAY, drops=DROPS)
    return cell(SMALL, normalizer, recipe, seed, inputs=inputs, scale_rate=scale_rate, device=device)


def cifar(
    model: str, normalizer: str, seed: int, data: str, *, group_size: int | None = None, device: str = "gpu"
) -> dict[str, Any]:
    """A training of claims MN-11 and IN-11 on CIFAR: 200 epochs of 390 batches of 128, learning rate 0.1 divided by 5 three times.

    Sources: the codes of MimicNorm (from github.com/weiaicunzai/pytorch-cifar100: one epoch of warm-up, weight decay 0.0005, shifts
    and reflections; its rotations by up to 15 degrees are left out) and of WideResNets (Zagoruyko & Komodakis 2016, section 3).
    """
    recipe = Recipe(
        0.1,
        CIFAR_EPOCHS * CIFAR_STEPS,
        128,
        weight_decay=WEIGHT_DECAY,
        drops=(0.3, 0.6, 0.8),
        drop_factor=0.2,
        warmup=1 / CIFAR_EPOCHS,
        augment=True,
    )
    return cell(model, normalizer, recipe, seed, data=data, group_size=group_size, every=CIFAR_STEPS, device=device)
