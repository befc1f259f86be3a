"""One model at one size, as every measurement of it is asked for."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ntkcheck import models
from ntkcheck.models import Model

PRECISIONS = ("highest", "high", "default")
PLATFORMS = ("cpu", "gpu")
LEARNING_RATE = 0.1


class Case(NamedTuple):
    """A reference model and the size of its batch.

    Attributes:
        model: One of `models.NAMES`.
        normalizer: One of `models.NORMALIZERS`.
        form: "cifar" or "imagenet".
        image: Side of the images.
        batch: Images of a batch.
        classes: Number of logits.
    """

    model: str
    normalizer: str
    form: str
    image: int
    batch: int
    classes: int

    @property
    def label(self) -> str:
        """For people: resnet18 (cifar), mimic_norm."""
        return f"{self.model} ({self.form}), {self.normalizer}"

    def shapes(self) -> Model:
        """The model with shapes in place of its parameters; nothing is computed."""
        return _shapes(self.model, self.normalizer, self.form, self.classes)

    def images(self) -> jax.ShapeDtypeStruct:
        """The shape of a batch."""
        return jax.ShapeDtypeStruct((self.batch, self.image, self.image, 3), jnp.float32)

    def network(self, seed: int, index: int) -> Model:
        """The model at its initialisation of this seed and index, in float32: the same weights for every batch and image size."""
        key = jax.random.fold_in(jax.random.key(seed), index)
        return models.make(self.model, self.normalizer, self.classes, self.form, key=key, dtype=jnp.float32)

    def labels(self, seed: int) -> Int[Array, " batch"]:
        """Random classes, because not every data set has labels."""
        return jax.random.randint(jax.random.key(seed), (self.batch,), 0, self.classes, jnp.int32)


@functools.lru_cache(maxsize=64)
def _shapes(model: str, normalizer: str, form: str, classes: int) -> Model:
    def make(key: Array) -> Model:
        return models.make(model, normalizer, classes, form, key=key, dtype=jnp.float32)

    return jax.eval_shape(make, jax.random.key(0))


@functools.cache
def forward(precision: str) -> Callable[[Model, Array], Array]:
    """Logits at a stated precision of matrix products; the same object for the same precision, so that it is compiled for once."""

    def apply(model: Model, x: Array) -> Array:
        return model(x, precision=precision)

    return apply


def cross_entropy(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """The loss, -mean_b log softmax(logits_b)[label_b]."""
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1))


@contextlib.contextmanager
def placed(platform: str) -> Iterator[Any]:
    """Compute on the first device of a platform, and nowhere else.

    Args:
        platform: "cpu" or "gpu".

    Raises:
        ValueError: Where JAX has no such device.
    """
    device = first_device(platform)
    with jax.default_device(device):
        yield device


@contextlib.contextmanager
def placed_alone(platform: str) -> Iterator[Any]:
    """`placed`, and no compiled programs are left behind.

    Those of one model are of no use to the next, and the operating system maps memory for only so many: on a CPU, the papers'
    table in one process ended after some fifty measurements.
    """
    try:
        with placed(platform) as device:
            yield device
    finally:
        jax.clear_caches()


def first_device(platform: str) -> Any:
    """The first device of a platform.

    Raises:
        ValueError: Where JAX has no such device; there is no falling back.
    """
    try:
        return jax.devices(platform)[0]
    except RuntimeError as error:
        here = jax.devices()[0]
        raise ValueError(
            f"`device` must be one that JAX finds, got {platform!r}, but this JAX has {here.platform} ({here.device_kind}) alone; "
            f"install JAX for {platform}, or ask for {here.platform}."
        ) from error


def training_step(precision: str) -> Callable[[Model, Array, Array], tuple[Model, Array]]:
    """A step of gradient descent on the cross-entropy: the parameters after it, and the loss before."""

    def step(model: Model, x: Array, labels: Array) -> tuple[Model, Array]:
        def loss(model: Model) -> Array:
            return cross_entropy(model(x, precision=precision), labels)

        value, gradient = jax.value_and_grad(loss)(model)
        return eqx.apply_updates(model, jax.tree.map(lambda g: -LEARNING_RATE * g, gradient)), value

    return step
