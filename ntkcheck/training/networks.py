"""Networks that are trained: the reference models, a small convolutional network, and where normalisers stand outside them."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ntkcheck import models
from ntkcheck.models import Model, Observe
from ntkcheck.models.layers import Affine, Dense, Images, Norm, Unit, global_average
from ntkcheck.models.model import Network
from ntkcheck.models.registry import named
from ntkcheck.models.scheme import BATCH_STATISTICS, Scheme, get, key_stream
from ntkcheck.reference.watched import INPUT, Watched
from ntkcheck.training.loop import Forward

SMALL = "cnn3"
NAMES = (SMALL, *models.NAMES)
LAST = "last_batch_norm"
NORMALIZERS = (*models.NORMALIZERS, LAST)
WIDTHS = (16, 32, 64)
SMALLEST = 8
EPS = 1e-5


class SmallCNN(eqx.Module):
    """Three 3x3 convolutions, each with normaliser and ReLU, the last two of stride 2; mean over positions; readout."""

    units: tuple[Unit, ...]
    readout: Dense
    smallest: int = eqx.field(static=True, default=SMALLEST)

    def __call__(self, x: Images, observe: Observe) -> Float[Array, "batch classes"]:
        """The logits."""
        for unit in self.units:
            x = jax.nn.relu(unit(x, observe))
        return self.readout(global_average(x))


class NormalizedInput(eqx.Module):
    """A network behind a normaliser of the images' channels."""

    norm: Norm
    network: Network

    @property
    def smallest(self) -> int:
        """Side of the smallest images that it takes."""
        return self.network.smallest

    def __call__(self, x: Images, observe: Observe) -> Float[Array, "batch classes"]:
        """The logits."""
        return self.network(self.norm(x, observe), observe)


def make(
    name: str,
    normalizer: str,
    classes: int,
    form: str,
    *,
    key: Key[Array, ""],
    inputs: str = "standardized",
    group_size: int | None = None,
) -> Model:
    """A network at initialisation, in float32.

    Args:
        name: One of `NAMES`.
        normalizer: One of `NORMALIZERS`; last_batch_norm is no normaliser but BatchNorm, without scale and shift, on the logits.
        classes: Number of logits.
        form: "cifar" or "imagenet".
        key: Of the weights; the same weights for the same key under none, batch_norm, scaled_batch_norm and last_batch_norm.
        inputs: "batch_norm" for a BatchNorm, without scale and shift, before the first layer.
        group_size: Of iter_norm and zca.

    Raises:
        ValueError: As `models.make` does.
    """
    plug = "none" if normalizer == LAST else normalizer
    model = _plugged(name, plug, classes, form, key, group_size)
    if normalizer == LAST:
        last = Norm(_batch_norm(), Affine(), name="logits")
        model = dataclasses.replace(model, output_norm=last, normalizer=LAST, couples_batch=True)
    if inputs == "batch_norm":
        first = Norm(_batch_norm(), Affine(), name="input")
        model = dataclasses.replace(model, network=NormalizedInput(first, model.network), couples_batch=True)
    return model


def _plugged(name: str, normalizer: str, classes: int, form: str, key: Key[Array, ""], group_size: int | None) -> Model:
    if name != SMALL:
        return models.make(name, normalizer, classes, form, key=key, group_size=group_size, eps=EPS, dtype=jnp.float32)
    scheme = get(normalizer, group_size, EPS, jnp.float32)
    network = named(_small(scheme, key, classes))
    return Model(network, scheme.output_norm(), SMALL, form, normalizer, normalizer in BATCH_STATISTICS)


def _small(scheme: Scheme, key: Key[Array, ""], classes: int) -> SmallCNN:
    keys, channels = key_stream(key), (3, *WIDTHS)
    units = tuple(
        scheme.unit(next(keys), channels[i], channels[i + 1], 3, stride=2 if i else 1) for i in range(len(WIDTHS))
    )
    return SmallCNN(units, scheme.dense(next(keys), WIDTHS[-1], classes))


def _batch_norm():
    """BatchNorm as the networks have it: the same object as theirs."""
    return get("batch_norm", None, EPS, jnp.float32).function


@functools.cache
def forward(precision: str) -> Forward:
    """Logits, and the variance of the outputs before the last normaliser: over the batch, mean over logits."""

    def apply(model: Model, x: Array) -> tuple[Array, dict[str, Array]]:
        seen: dict[str, Array] = {}

        def observe(name: str, h: Array) -> Array:
            if name == last.norm.name + INPUT:
                seen["output_variance"] = jnp.mean(jnp.var(h, axis=0))
            return h

        last = Watched(model.output_norm)
        watched = dataclasses.replace(model, output_norm=last)
        return watched(x, precision=precision, observe=observe), seen

    return apply
