"""NNGP and NTK of a deep network in infinite width: one compiled loop over depth."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ntkcheck import activations, normalizers
from ntkcheck.activations import Activation
from ntkcheck.meanfield.field import Field, dense_step, input_field
from ntkcheck.meanfield.layer import Layer, layer
from ntkcheck.meanfield.tangent import tail_index
from ntkcheck.normalizers import Normalizer, batch_norm

SAMPLES = 16384  # neurons drawn per layer, where a layer is sampled
REPLICATES = (
    4  # independent propagations that they are divided into; their scatter is the standard error, their size the bias
)


class Network(NamedTuple):
    """[Dense, normaliser, activation] x depth, then Dense(1), of infinite width; all weights and biases trained.

    Attributes:
        depth: Number of hidden layers.
        normalizer: What precedes the activation.
        activation: The activation.
        sigma_w: Weight standard deviation times sqrt(fan-in), the same in every layer.
        sigma_b: Bias standard deviation.
    """

    depth: int = 3
    normalizer: Normalizer = normalizers.get("batch_norm")
    activation: Activation = activations.get("relu")
    sigma_w: float = 1.0
    sigma_b: float = 0.0


class Profile(NamedTuple):
    """Kernels of a network at every depth.

    Attributes:
        nngp: (depth + 1, batch, batch): K of the pre-activations of every dense layer, the readout last.
        tangents: (depth + 1, tangents, batch, batch): covariance of every tangent at the same places. The first is the NTK of
            the network that ends with that dense layer.
        normalized: (depth, batch, batch): NNGP of the normaliser's output.
    """

    nngp: Float[Array, "layers batch batch"]
    tangents: Float[Array, "layers tangents batch batch"]
    normalized: Float[Array, "hidden batch batch"]


class Sampled(NamedTuple):
    """Propagated kernels with their sampling errors.

    Attributes:
        replicates: The independent propagations, stacked; a single one where nothing is sampled.
        tail: Smallest tail index of the tangent term over the layers, and the number of shares it rests on; (inf, 0) where
            nothing is sampled. An index below 2 means infinite variance: standard errors then mean nothing.
    """

    replicates: Profile
    tail: tuple[float, int]


def propagate(
    x: Float[Array | np.ndarray, "batch features"],
    depth: int = 3,
    normalizer: str | normalizers.Function | Normalizer = "batch_norm",
    activation: str | Activation = "relu",
    sigma_w: float = 1.0,
    sigma_b: float = 0.0,
    *,
    key: Key[Array, ""] | None = None,
    samples: int = SAMPLES,
    replicates: int = REPLICATES,
) -> Field:
    """NNGP and NTK of [Dense, normaliser, activation] x depth, then Dense(1), on one batch, in infinite width.

    Always computed in float64, whatever JAX's setting. Closed form without normaliser, with weight mean and LayerNorm; quadrature
    (relative error about 1e-13) for BatchNorm before ReLU, leaky ReLU, |x| and the identity; tangent Monte Carlo for every
    other pair (`profile` gives its standard errors).

    Source: Jacot, Gabriel & Hongler 2018; Yang et al. 2019; paper_notes.md, "Infinite width".

    Args:
        x: One batch of inputs; the first layer's covariance is x x^T / features.
        depth: Number of hidden layers.
        normalizer: A name of `normalizers.NAMES`, a function (batch, features) -> (batch, features), or a `Normalizer`. With
            "weight_mean" the weights of the hidden layers are centred, those of the readout are not.
        activation: A name that `activations.get` knows, or an `Activation`.
        sigma_w: Weight standard deviation times sqrt(fan-in).
        sigma_b: Bias standard deviation.
        key: Of the sampling, where something is sampled; a fixed one unless given.
        samples: Neurons drawn per layer, where something is sampled.
        replicates: Independent propagations that `samples` are divided into. A propagation is biased by O(replicates / samples),
            because its layers are not linear in the NNGP; their number sets the quality of the standard error.

    Returns:
        The readout's `Field(nngp, ntk)`, each (batch, batch). The NTK of BatchNorm is infinite where a batch varies in fewer
        than 3 directions, as every batch of fewer than 4 samples does.

    Raises:
        ValueError: For inputs that are not a finite matrix of at least two samples, an unknown name, or a normaliser that
            cannot act on the batch.
    """
    network = make_network(depth, normalizer, activation, sigma_w, sigma_b)
    check_input(x, network)
    with jax.enable_x64(True):
        start = first_layer(x, network)
        hidden = layer(network.normalizer, network.activation, x.shape[0], samples // replicates)
        if not hidden.sampled:
            last, _ = _loop(_keys(key, 1)[0], start, jnp.ones(1), network, hidden, collect=False)
            return Field(last.nngp, last.ntk[0])
        ends, _ = _replicated(_keys(key, replicates), start, jnp.ones(1), network, hidden, collect=False)
        return Field(jnp.mean(ends.nngp, axis=0), jnp.mean(ends.ntk[:, 0], axis=0))


def profile(
    x: Float[Array | np.ndarray, "batch features"],
    network: Network,
    tangents: Float[Array | np.ndarray, "tangents batch batch"] | None = None,
    *,
    key: Key[Array, ""] | None = None,
    samples: int = SAMPLES,
    replicates: int = REPLICATES,
) -> Sampled:
    """Kernels at every depth, the NTK first among the tangents, with `tangents` that start at the first pre-activations.

    Args:
        x: One batch of inputs.
        network: The network.
        tangents: Covariances over the batch of further tangents, independent across neurons; they gain nothing from the
            parameters of the layers that they pass.
        key: Of the sampling; a fixed one unless given.
        samples: Neurons drawn per layer, where something is sampled.
        replicates: Independent propagations that `samples` are divided into. A propagation is biased by O(replicates / samples),
            because its layers are not linear in the NNGP; their number sets the quality of the standard error.

    Raises:
        ValueError: As `propagate` does.
    """
    check_input(x, network)
    with jax.enable_x64(True):
        start = first_layer(x, network)
        if tangents is not None:
            start = Field(start.nngp, jnp.concatenate([start.ntk, jnp.asarray(tangents)]))
        trained = jnp.zeros(start.ntk.shape[0]).at[0].set(1)
        hidden = layer(network.normalizer, network.activation, x.shape[0], samples // replicates)
        keys = _keys(key, replicates if hidden.sampled else 1)
        profiles, shares = _replicated(keys, start, trained, network, hidden, collect=True)
        return Sampled(profiles, _worst_tail(shares) if hidden.sampled else (float("inf"), 0))


def make_network(
    depth: int,
    normalizer: str | normalizers.Function | Normalizer,
    activation: str | Activation,
    sigma_w: float,
    sigma_b: float,
) -> Network:
    """A `Network` from names, checked."""
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise ValueError(f"`depth` must be a whole number of hidden layers, at least 1, got {depth!r}.")
    for name, value, least in (("sigma_w", sigma_w, "> 0"), ("sigma_b", sigma_b, ">= 0")):
        if not np.isfinite(value) or value < 0 or (least == "> 0" and value == 0):
            raise ValueError(f"`{name}` must be a finite number {least}, got {value!r}.")
    return Network(depth, normalizers.get(normalizer), activations.get(activation), float(sigma_w), float(sigma_b))


def check_input(x: Array | np.ndarray, network: Network) -> None:
    """Raise ValueError unless `x` is a finite batch that the network's normaliser can act on."""
    if getattr(x, "ndim", None) != 2:
        raise ValueError(f"`x` must be a matrix (batch, features), got shape {getattr(x, 'shape', type(x).__name__)}.")
    if x.shape[0] < 2:
        raise ValueError(f"`x` must hold at least 2 samples, got {x.shape[0]}; kernels compare pairs.")
    finite = np.isfinite(np.asarray(x)).all(axis=1)
    if not finite.all():
        raise ValueError(f"`x` must be finite, but sample {int(np.argmin(finite))} is not; remove or mend it.")
    network.normalizer.check(x.shape[0], network.normalizer.group_size or 2)


def first_layer(x: Array | np.ndarray, network: Network) -> Field:
    """The field of the first pre-activations, its NTK as a stack of one.

    Centred weights see centred inputs. BatchNorm does not see the batch's mean, so it is taken out of the inputs, where that
    costs no digits, instead of out of their covariance.
    """
    x = jnp.asarray(x, jnp.float64)
    if network.normalizer.centred_weights:
        x = x - jnp.mean(x, axis=1, keepdims=True)
    if network.normalizer.function is batch_norm:
        x = x - jnp.mean(x, axis=0, keepdims=True)
    field = dense_step(input_field(x), network.sigma_w, network.sigma_b)
    return Field(field.nngp, field.ntk[None])


@functools.partial(jax.jit, static_argnames=("depth", "hidden", "collect"))
def _compiled(key, start, trained, sigma_w, sigma_b, depth: int, hidden: Layer, collect: bool):
    """The loop over depth: the readout's field, every draw's share, and, if asked to `collect`, the profile."""

    def body(field, key):
        step_key, normalized_key = jax.random.split(key)
        after, shares = hidden.step(step_key, field)
        following = dense_step(after, sigma_w, sigma_b, trained[:, None, None])
        collected = (following, hidden.normalized(normalized_key, field.nngp)) if collect else ()
        return following, (collected, shares)

    last, (collected, shares) = jax.lax.scan(body, start, jax.random.split(key, depth))
    if not collect:
        return last, shares
    fields, normalized = collected
    stack = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), start, fields)
    return Profile(stack.nngp, stack.ntk, normalized), shares


def _loop(key, start, trained, network, hidden, collect):
    return _compiled(key, start, trained, network.sigma_w, network.sigma_b, network.depth, hidden, collect)


def _replicated(keys, start, trained, network, hidden, collect):
    """One propagation a key, stacked; in sequence, so that memory does not grow with their number."""
    runs = [_loop(key, start, trained, network, hidden, collect) for key in keys]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs)


def _keys(key, count):
    return jax.random.split(jax.random.key(0) if key is None else key, count)


def _worst_tail(shares):
    """Smallest tail index over the layers, from all replicates' shares (replicates, depth, samples)."""
    by_layer = jnp.moveaxis(shares, 1, 0).reshape(shares.shape[1], -1)
    indices = jax.vmap(lambda layer_shares: tail_index(layer_shares)[0])(by_layer)
    return float(jnp.min(indices)), tail_index(by_layer[0])[1]
