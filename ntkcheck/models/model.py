"""A reference network as it is called: checked, at a stated precision, and open to observation at every normaliser."""

import contextlib
from collections import OrderedDict
from typing import Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ntkcheck.models.layers import Activations, Images, Norm, Observe, unobserved


class Network(Protocol):
    """What an architecture builds.

    Attributes:
        smallest: Side of the smallest images that it takes.
    """

    @property
    def smallest(self) -> int:
        """Side of the smallest images that it takes."""
        ...

    def __call__(self, x: Images, observe: Observe) -> Float[Array, "batch classes"]:
        """The logits."""
        ...


class Model(eqx.Module):
    """A reference network with a normaliser; a pytree whose leaves are its parameters.

    There is no state: a normaliser of batch statistics takes those of the batch at hand, as in training. `model` itself can be the
    parameters of `empirical.empirical_ntk(lambda model, x: model(x), model, x)`.

    Attributes:
        network: The architecture.
        output_norm: What stands between its logits and the loss; MimicNorm's BatchNorm, else nothing.
        name: The architecture's name.
        form: "cifar" or "imagenet".
        normalizer: The normaliser's name.
        couples_batch: Whether samples of a batch see each other.
    """

    network: Network
    output_norm: Norm
    name: str = eqx.field(static=True)
    form: str = eqx.field(static=True)
    normalizer: str = eqx.field(static=True)
    couples_batch: bool = eqx.field(static=True)

    def __call__(
        self,
        x: Float[Array, "batch height width 3"],
        *,
        precision: str | None = "highest",
        observe: Observe = unobserved,
    ) -> Float[Array, "batch classes"]:
        """Logits of a batch of images.

        Args:
            x: Images, channels last, in the dtype of the parameters; the networks expect channels of mean 0 and variance 1.
            precision: Of convolutions and matrix products, forward and backward (see `jax.default_matmul_precision`). The default
                is the full precision of the dtype on every device; None leaves it to the surrounding context.
            observe: Called with the path and the output of every normaliser, before scale and shift, in the order of computation
                (where a network has no normaliser, with the convolution's output); what it returns goes on through the network,
                so that it can record, perturb or replace.

        Raises:
            ValueError: For `x` of another shape or dtype, images that are too small, and a batch of one where
                samples see each other.
        """
        self._check(x)
        context = contextlib.nullcontext() if precision is None else jax.default_matmul_precision(precision)
        with context:
            return self.output_norm(self.network(x, observe), observe)

    def features(
        self, x: Float[Array, "batch height width 3"], *, precision: str | None = "highest"
    ) -> OrderedDict[str, Activations]:
        """The output of every normaliser, before scale and shift, by its path in the network and in the order of computation.

        Where the network has no normaliser it is the convolution's output; the last one, "logits", is what goes into the loss. The
        order outlasts `jax.jit`, which sorts a plain dictionary.
        """
        outputs: OrderedDict[str, Array] = OrderedDict()

        def record(name: str, h: Array) -> Array:
            outputs[name] = h
            return h

        self(x, precision=precision, observe=record)
        return outputs

    def _check(self, x: Images) -> None:
        """Raise ValueError unless the network can take `x`."""
        smallest, dtype = self.network.smallest, jax.tree.leaves(self)[0].dtype
        shape = jnp.shape(x)
        if len(shape) != 4 or shape[-1] != 3:
            raise ValueError(
                f"`x` must be images of shape (batch, height, width, 3), got shape {shape}; move channels last, and repeat "
                "grey ones."
            )
        if x.dtype != dtype:
            raise ValueError(
                f"`x` must have the parameters' dtype {dtype}, got {x.dtype}; convert it, or make the model with `dtype={x.dtype}`."
            )
        if min(shape[1:3]) < smallest:
            raise ValueError(
                f"`x` must hold images of at least {smallest} x {smallest} for {self.name} in its {self.form} form, got "
                f"{shape[1]} x {shape[2]}; enlarge them"
                + (", or take the CIFAR form." if self.form == "imagenet" else ".")
            )
        if self.couples_batch and shape[0] < 2:
            raise ValueError(
                f"`x` must hold at least 2 samples, because {self.normalizer} takes statistics of the batch, got {shape[0]}; "
                "raise the batch size, or choose layer_norm or group_norm."
            )
