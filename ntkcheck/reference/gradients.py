"""Gradients of the loss by layer: of the signals at the normalisers, and of the layers' weights."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ntkcheck.compilation import compiled
from ntkcheck.measurement import Measurement, series, summarize
from ntkcheck.models import Model
from ntkcheck.models.layers import Convolution, Dense
from ntkcheck.reference.case import Case, cross_entropy, placed_alone
from ntkcheck.reference.images import load_checked


def measure(
    _: Array, data: str, inputs: str, seed: int, seeds: int, precision: str, device: str, **case: Any
) -> list[Measurement]:
    """Euclidean norms of the gradient of the cross-entropy with random labels, mean over the batch, at initialisation.

    signal_gradient: with respect to the output of every normaliser (without one, the convolution's), in the order of computation.
    weight_gradient: with respect to the weights of every convolution and dense layer, in the order of the model's fields.
    gradient_norm: with respect to all parameters together.

    Arguments as for `activations.measure`.
    """
    size = Case(**case)
    images = load_checked(data, size.batch, size.image, seed, inputs)
    with placed_alone(device):
        x = jnp.asarray(images.x)
        norms = [
            jax.tree.map(np.asarray, _norms(size.network(seed, i), x, size.labels(seed), precision))
            for i in range(seeds)
        ]
    signal, weight, total = (np.stack(part) for part in zip(*norms, strict=True))
    method = f"{seeds} networks, {size.batch} images, {precision} precision on {device}"
    return [
        Measurement("signal_gradient", series(signal, np.arange(1, signal.shape[1] + 1)), method),
        Measurement("weight_gradient", series(weight, np.arange(1, weight.shape[1] + 1)), method),
        Measurement("gradient_norm", summarize(total), method),
    ]


@compiled("precision")
def _norms(model: Model, x: Array, labels: Array, precision: str) -> tuple[Array, Array, Array]:
    shapes = jax.eval_shape(lambda: model.features(x, precision=precision))
    taps = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in shapes.items()}

    def loss(model: Model, taps: dict[str, Array]) -> Array:
        return cross_entropy(model(x, precision=precision, observe=lambda name, h: h + taps[name]), labels)

    of_model, of_taps = jax.grad(loss, argnums=(0, 1))(model, taps)
    every = jnp.stack([jnp.sum(leaf**2) for leaf in jax.tree.leaves(of_model)])
    signal = jnp.stack([_norm(of_taps[name]) for name in shapes])
    weight = jnp.stack([_norm(layer.weight) for layer in layers(of_model)])
    return signal, weight, jnp.sqrt(jnp.sum(every))


def layers(model: Model) -> list[Convolution | Dense]:
    """The layers that have weights, in the order of the model's fields."""
    nodes = jax.tree.leaves(model, is_leaf=lambda node: isinstance(node, Convolution | Dense))
    return [node for node in nodes if isinstance(node, Convolution | Dense)]


def _norm(x: Array) -> Array:
    return jnp.sqrt(jnp.sum(x**2))
