"""The training loop, for any network that is a function of its parameters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ntkcheck.compilation import compiled
from ntkcheck.reference.case import cross_entropy
from ntkcheck.training import checkpoint
from ntkcheck.training.augmentation import shifted_and_flipped
from ntkcheck.training.recipe import Recipe, batches, learning_rates, sgd

Forward = Callable[[Any, Array], tuple[Array, dict[str, Array]]]


class State(NamedTuple):
    """Where a training stands.

    Attributes:
        params: Parameters.
        momentum: State of `recipe.sgd`.
    """

    params: Any
    momentum: Any


class Data(NamedTuple):
    """Samples with their classes."""

    x: Float[Array, "samples ..."]
    labels: Int[Array, " samples"]


class Steps(NamedTuple):
    """Steps that are taken one after the other.

    Attributes:
        number: Their numbers in the training, from 0.
        rows: Samples of their batches.
        rate: Their learning rates.
    """

    number: Int[Array, " steps"]
    rows: Int[Array, "steps batch"]
    rate: Float[Array, " steps"]


class Fixed(NamedTuple):
    """What is the same in all steps of a training.

    Attributes:
        factors: Of the learning rate; a tree like the parameters.
        momentum: mu.
        weight_decay: lambda.
        key: Of what is random in the steps.
    """

    factors: Any
    momentum: Float[Array, ""]
    weight_decay: Float[Array, ""]
    key: Key[Array, ""]


def start(params: Any) -> State:
    """The state before the first step."""
    return State(params, sgd(0.0, 0.0).init(params))


def fixed(recipe: Recipe, params: Any, seed: int, factors: Any = 1.0) -> Fixed:
    """What a recipe fixes for all steps; `factors` is a number, or a tree of numbers like the parameters."""
    if isinstance(factors, int | float):
        factors = jax.tree.map(lambda _: factors, params)
    factors = jax.tree.map(lambda p, factor: jnp.asarray(factor, p.dtype), params, factors)
    dtype = jax.tree.leaves(params)[0].dtype
    momentum, decay = jnp.asarray(recipe.momentum, dtype), jnp.asarray(recipe.weight_decay, dtype)
    return Fixed(factors, momentum, decay, jax.random.key(seed))


def plan(recipe: Recipe, count: int, seed: int, first: int, last: int) -> Steps:
    """The steps from `first` to before `last` of a training on `count` samples."""
    rows = batches(count, recipe.batch, seed, first, last)
    return Steps(np.arange(first, last, dtype=np.int32), rows, learning_rates(recipe)[first:last])  # pyright: ignore[reportArgumentType]


def step(
    forward: Forward, augment: bool, state: State, now: Steps, data: Data, fixed: Fixed
) -> tuple[State, dict[str, Float[Array, ""]]]:
    """One step: v <- mu v + gradient + lambda params; params <- params - eta factors v.

    A pure function, for `jax.jit` (`forward` and `augment` static) and for `jax.vmap` over states and steps.

    Args:
        forward: `forward(params, x)`: logits, and scalars to keep of every step, by name.
        augment: Whether images are shifted and flipped at random.
        state: Where the training stands.
        now: The step.
        data: All samples.
        fixed: What is the same in all steps.

    Returns:
        The state after it; and before it, the loss of its batch, the norm of the gradient and what `forward` keeps.
    """
    x, labels = data.x[now.rows], data.labels[now.rows]
    if augment:
        x = shifted_and_flipped(jax.random.fold_in(fixed.key, now.number), x)

    def loss(params: Any) -> tuple[Array, dict[str, Array]]:
        logits, seen = forward(params, x)
        return cross_entropy(logits, labels), seen

    (value, seen), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
    direction = sgd(fixed.momentum, fixed.weight_decay)
    v, momentum = direction.update(gradient, state.momentum, state.params)
    params = jax.tree.map(lambda p, f, v: p - (now.rate * f).astype(p.dtype) * v, state.params, fixed.factors, v)
    return State(params, momentum), {"training_loss": value, "gradient_norm": _norm(gradient), **seen}


def steps(
    forward: Forward, augment: bool, state: State, ahead: Steps, data: Data, fixed: Fixed
) -> tuple[State, dict[str, Float[Array, " steps"]]]:
    """`step` by step in one program; arguments as there."""
    return jax.lax.scan(lambda state, now: step(forward, augment, state, now, data, fixed), state, ahead)


def _norm(tree: Any) -> Float[Array, ""]:
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))


_one = compiled("forward", "augment")(step)
_all = compiled("forward", "augment")(steps)


def advance(
    forward: Forward, augment: bool, state: State, ahead: Steps, data: Data, fixed: Fixed
) -> tuple[State, dict[str, Float[np.ndarray, " steps"]]]:
    """Take all steps, compiled; on a GPU in one program.

    On CPUs every step is a program of its own: XLA convolves tens of times slower in a loop of its own there (jaxlib 0.10.2).
    """
    if next(iter(data.x.devices())).platform != "cpu":
        state, seen = _all(forward=forward, augment=augment, state=state, ahead=ahead, data=data, fixed=fixed)
        return state, {name: np.asarray(values) for name, values in seen.items()}
    curves = []
    for i in range(len(ahead.number)):
        now = Steps(*(field[i] for field in ahead))
        state, seen = _one(forward=forward, augment=augment, state=state, now=now, data=data, fixed=fixed)
        curves.append(seen)
    return state, {name: np.array([seen[name] for seen in curves]) for name in curves[0]}


def train(
    forward: Forward,
    params: Any,
    data: Data,
    recipe: Recipe,
    seed: int,
    factors: Any = 1.0,
    kept: Path | None = None,
) -> tuple[Any, dict[str, Float[np.ndarray, " steps"]]]:
    """The parameters after a training, and what was seen at every step.

    Args:
        forward: As for `step`; the same object for the same network, so that it is compiled for once.
        params: Initial parameters.
        data: Training samples.
        recipe: How.
        seed: Of the batches' order and of augmentation; the same for all that are compared.
        factors: Of the learning rate: a number, or a tree of numbers like the parameters.
        kept: File for checkpoints of long trainings, from which an interrupted one goes on; gone at the end. None keeps nothing.
    """
    state, curves = start(params), {}
    if kept and kept.exists():
        state, curves = checkpoint.read(kept, state)
    done = len(next(iter(curves.values()), ()))
    length = checkpoint.STEPS if kept else recipe.steps
    for first in range(done, recipe.steps, length):
        ahead = plan(recipe, len(data.labels), seed, first, min(first + length, recipe.steps))
        constants = fixed(recipe, params, seed, factors)
        state, seen = advance(forward, recipe.augment, state, ahead, data, constants)
        curves = {name: np.concatenate([curves.get(name, values[:0]), values]) for name, values in seen.items()}
        if kept and first + length < recipe.steps:
            checkpoint.write(kept, state, curves)
    if kept:
        kept.unlink(missing_ok=True)
    return state.params, curves
