"""One training as a measurement: its curves, how far parameters moved, and what the network does on test images."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ntkcheck.compilation import compiled
from ntkcheck.measurement import Measurement, Series, summarize
from ntkcheck.models import Model
from ntkcheck.reference.case import placed
from ntkcheck.stats import Estimate
from ntkcheck.store import key_of, reference
from ntkcheck.training import checkpoint
from ntkcheck.training.displacement import displacements, rate_factors
from ntkcheck.training.loop import Data, train
from ntkcheck.training.networks import forward, make
from ntkcheck.training.population import freeze, statistics
from ntkcheck.training.recipe import Recipe
from ntkcheck.training.task import Task, load_checked

EVALUATION_BATCH = 512
DIVERGED = 2.0  # times the first loss


def measure(
    _: Array,
    model: str,
    normalizer: str,
    form: str,
    image: int,
    data: str,
    digest: str,
    inputs: str,
    group_size: int | None,
    scale_rate: float,
    population: int,
    every: int,
    seed: int,
    precision: str,
    device: str,
    **recipe: Any,
) -> list[Measurement]:
    """One network trained once from one seed.

    training_loss, gradient_norm, output_variance: series over steps, each before the step is taken: the loss of its batch, the
        norm of its gradient, and the variance over the batch of the outputs before the last normaliser, mean over logits.
    diverged: 1 where a loss was not finite, or the last was above twice the first.
    scale_displacement, shift_displacement, weight_displacement: see `displacement.displacements`.
    test_accuracy, test_loss, final_training_accuracy, final_training_loss: of the trained network with the statistics of a
        population of training images (see `population`); standard errors over images.

    The derived key is not used: weights, batches and augmentation follow from `seed`, alike for all that are compared. Trainings of
    more than `checkpoint.STEPS` steps keep checkpoints (see `checkpoint.place`) and go on from them.

    Args:
        model: One of `networks.NAMES`.
        normalizer: One of `networks.NORMALIZERS`.
        form: "cifar" or "imagenet".
        image: Side of the images.
        data: As `task.load` takes it.
        digest: Of these data.
        inputs: One of `task.INPUTS`.
        group_size: Channels per group of whitenings; None for the default.
        scale_rate: Factor of the learning rate of the normalisers' scales.
        population: Training images, at most, that test statistics are taken of; 0 leaves out the test.
        every: Steps between the points of the series.
        seed: Of everything random.
        precision: Of convolutions and matrix products.
        device: "cpu" or "gpu".
        recipe: The fields of `Recipe`.
    """
    parameters = {name: value for name, value in locals().items() if name not in ("_", "recipe")} | recipe
    how, task = Recipe(**recipe), load_checked(data, image, inputs, digest)
    with placed(device) as place:
        key = jax.random.key(seed)
        first = make(model, normalizer, task.classes, form, key=key, inputs=inputs, group_size=group_size)
        images = Data(jnp.asarray(task.train), jnp.asarray(task.train_labels))
        factors = rate_factors(first, scale_rate)
        last, curves = train(forward(precision), first, images, how, seed, factors, _kept(parameters, how))
        moved = displacements(first, last)
        tested = _tested(last, task, population, precision) if population else {}
    method = f"{how.steps} steps, batch {how.batch}, {precision} precision on {place.device_kind}"
    loss = curves["training_loss"]
    found: dict[str, Any] = {name: _curve(values, every) for name, values in curves.items()}
    found["diverged"] = _exact(diverged(loss))
    found |= {name: _exact(value) for name, value in moved.items()} | tested
    return [Measurement(name, estimate, method) for name, estimate in found.items()]


def _kept(parameters: dict[str, Any], recipe: Recipe) -> Path | None:
    """Where a long training keeps its checkpoints."""
    if recipe.steps <= checkpoint.STEPS:
        return None
    return checkpoint.place(reference(measure), key_of(reference(measure), parameters))


def diverged(loss: Float[np.ndarray, " steps"]) -> bool:
    """Whether a loss was not finite, or the last one is above twice the first."""
    return not np.isfinite(loss).all() or bool(loss[-1] > DIVERGED * loss[0])


def _exact(value: Any) -> Estimate:
    return Estimate(float(value), 0.0, 0)


def _curve(values: Float[np.ndarray, " steps"], every: int) -> Series:
    """Every so many steps, and the last."""
    at = np.union1d(np.arange(0, len(values), every), len(values) - 1)
    return Series(values[at], np.zeros(len(at)), 0, at.astype(float))


def _tested(model: Model, task: Task, population: int, precision: str) -> dict[str, Estimate]:
    frozen = freeze(model, statistics(model, jnp.asarray(task.train[:population]), precision=precision))
    found = {}
    for name, x, labels in (
        ("test", task.test, task.test_labels),
        ("final_training", task.train, task.train_labels),
    ):
        logits = outputs(frozen, x, precision)
        losses = -jax.nn.log_softmax(logits)[np.arange(len(labels)), labels]
        found[f"{name}_accuracy"] = _share(logits.argmax(1) == labels)
        found[f"{name}_loss"] = summarize(np.asarray(losses, np.float64))
    return found


def outputs(
    model: Model, x: Float[np.ndarray, "images side side 3"], precision: str
) -> Float[np.ndarray, "images classes"]:
    """Logits of any number of images, in batches of one size, the last filled up with zeros."""
    count = -(-len(x) // EVALUATION_BATCH)
    padded = np.zeros((count * EVALUATION_BATCH, *x.shape[1:]), x.dtype)
    padded[: len(x)] = x
    batches = np.split(padded, count)
    return np.concatenate([_outputs(model, jnp.asarray(batch), precision=precision) for batch in batches])[: len(x)]


@compiled("precision")
def _outputs(model: Model, x: Array, precision: str) -> Array:
    return model(x, precision=precision)


def _share(hits: Bool[np.ndarray, " images"]) -> Estimate:
    """The share with its binomial standard error, sqrt(p (1 - p) / n)."""
    share = float(np.mean(hits))
    return Estimate(share, (share * (1 - share) / len(hits)) ** 0.5, len(hits))
