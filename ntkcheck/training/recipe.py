"""How a network is trained: stochastic gradient descent with momentum, its schedule, and the order of batches."""

from typing import NamedTuple

import numpy as np
import optax
from jaxtyping import Array, Float, Int


class Recipe(NamedTuple):
    """Stochastic gradient descent as the papers' codes do it.

    Attributes:
        learning_rate: eta, before the first drop.
        steps: Number of steps.
        batch: Images of a batch.
        momentum: mu.
        weight_decay: lambda; added to the gradient of every parameter, before the momentum.
        drops: Fractions of the training, in [0, 1], after which the learning rate is multiplied by `drop_factor`.
        drop_factor: What it is multiplied by.
        warmup: Fraction of the training in which the learning rate grows linearly from 0.
        augment: Whether training images are shifted by up to 4 pixels and flipped at random.
    """

    learning_rate: float
    steps: int
    batch: int
    momentum: float = 0.9
    weight_decay: float = 0.0
    drops: tuple[float, ...] = ()
    drop_factor: float = 0.1
    warmup: float = 0.0
    augment: bool = False


def sgd(momentum: float | Array, weight_decay: float | Array) -> optax.GradientTransformation:
    """The direction of a step: v <- mu v + (gradient + lambda parameters), as torch.optim.SGD has it.

    The learning rate is left to the caller, so that it can differ from step to step and between parameters.
    """
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.trace(decay=momentum))  # pyright: ignore[reportArgumentType]


def learning_rates(recipe: Recipe) -> Float[np.ndarray, " steps"]:
    """eta_t at every step: eta, times (t + 1) / (warmup steps) in the warm-up, times drop_factor^(drops behind)."""
    step = np.arange(recipe.steps)
    drops = sum((step >= drop * recipe.steps).astype(int) for drop in recipe.drops)
    warm = np.minimum(1.0, (step + 1) / max(1.0, recipe.warmup * recipe.steps))
    return (recipe.learning_rate * warm * recipe.drop_factor**drops).astype(np.float32)


def batches(count: int, batch: int, seed: int, start: int, stop: int) -> Int[np.ndarray, "steps batch"]:
    """Rows of the batches of the steps from `start` to `stop`: every epoch a permutation of its own, its rest left out."""
    per_epoch = count // batch
    rows = np.empty((stop - start, batch), np.int32)
    for epoch in range(start // per_epoch, -(-stop // per_epoch)):
        order = np.random.default_rng([seed, epoch]).permutation(count)[: per_epoch * batch].reshape(-1, batch)
        first, last = max(start, epoch * per_epoch), min(stop, (epoch + 1) * per_epoch)
        rows[first - start : last - start] = order[first - epoch * per_epoch : last - epoch * per_epoch]
    return rows
