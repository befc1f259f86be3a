"""NNGP and NTK of a deep network in infinite width: one compiled loop over depth."""

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ntkcheck import normalizers
from ntkcheck.activations import Activation
from ntkcheck.compilation import compiled
from ntkcheck.meanfield.field import Field, dense_step, input_field
from ntkcheck.meanfield.layer import Layer, layer
from ntkcheck.meanfield.tangent import tail_index
from ntkcheck.network import Network, make_network
from ntkcheck.normalizers import Normalizer, batch_norm

SAMPLES = 16384  # neurons drawn per layer, where a layer is sampled
REPLICATES = (
    4  # independent propagations that they are divided into; their scatter is the standard error, their size the bias
)


class Profile(NamedTuple):
    """Kernels of a network at every depth.

    Attributes:
        nngp: (depth + 1, batch, batch): K of the pre-activations of every dense layer, the readout last.
        tangents: (depth + 1, tangents, batch, batch): covariance of every tangent at the same places. The first is the NTK of
            the network that ends with that dense layer.
        normalized: (depth, batch, batch): NNGP of the normaliser's output.
    """

    nngp: Float[Array | np.ndarray, "layers batch batch"]
    tangents: Float[Array | np.ndarray, "layers tangents batch batch"]
    normalized: Float[Array | np.ndarray, "hidden batch batch"]


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
            "weight_mean" the weights of every dense layer are centred, the first and the readout included.
        activation: A name that `activations.get` knows, or an `Activation`.
        sigma_w: Weight standard deviation times sqrt(fan-in).
        sigma_b: Bias standard deviation.
        key: Of the sampling, where something is sampled; a fixed one unless given.
        samples: Neurons drawn per layer, where something is sampled.
        replicates: Independent propagations that `samples` are divided into. A propagation is biased by O(replicates / samples),
            because its layers are not linear in the NNGP; their number sets the quality of the standard error.

    Returns:
        The readout's `Field(nngp, ntk)`, each (batch, batch). The NTK of BatchNorm is infinite where a batch
        varies in fewer than 3 directions, as every batch of fewer than 4 samples does.

    Raises:
        ValueError: For inputs that are not a finite matrix of at least two samples, an unknown name, or a normaliser that
            cannot act on the batch.
    """
    network = make_network(depth, normalizer, activation, sigma_w, sigma_b)
    check_input(x, network)
    with jax.enable_x64(True):
        start, hidden = first_layer(x, network), _layer(network, x, samples // replicates)
        ends = [
            _readout(key, start, network.sigma_w, network.sigma_b, network.depth, hidden)
            for key in _keys(key, replicates, hidden)
        ]
        return ends[0] if len(ends) == 1 else jax.tree.map(lambda *fields: sum(fields) / len(ends), *ends)


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
        start, hidden = first_layer(x, network), _layer(network, x, samples // replicates)
        if tangents is not None:
            start = Field(start.nngp, cast(Array, np.concatenate([start.ntk, tangents])))
        runs = [
            _profile(key, start, network.sigma_w, network.sigma_b, network.depth, hidden)
            for key in _keys(key, replicates, hidden)
        ]
        profiles, shares = jax.tree.map(lambda *leaves: np.stack(leaves), *runs)
        return Sampled(profiles, _worst_tail(shares) if hidden.sampled else (float("inf"), 0))


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
    """The field of the first pre-activations, its NTK as a stack of one, in NumPy's float64.

    Centred weights see centred inputs. BatchNorm does not see the batch's mean, so it is taken out of the inputs, where that
    costs no digits, instead of out of their covariance.
    """
    x = np.asarray(x, np.float64)
    if network.normalizer.centred_weights:
        x = x - x.mean(axis=1, keepdims=True)
    if network.normalizer.function is batch_norm:
        x = x - x.mean(axis=0, keepdims=True)
    nngp, ntk = dense_step(input_field(cast(Array, x)), network.sigma_w, network.sigma_b)
    return Field(nngp, ntk[None])


@compiled("hidden")
def _readout(key: Any, start, sigma_w, sigma_b, depth: int, hidden: Layer) -> Field:
    """The readout's field; one compilation serves every depth."""

    def body(layer, field):
        after, _ = hidden.step(_fold(key, layer), field)
        return dense_step(after, sigma_w, sigma_b)

    last = jax.lax.fori_loop(0, depth, body, start)
    return Field(last.nngp, last.ntk[0])


@compiled("depth", "hidden", optimization=1)
def _profile(key: Any, start, sigma_w, sigma_b, depth: int, hidden: Layer) -> tuple[Profile, Array]:
    """The fields of every dense layer, the first tangent gaining the layers' own parameters, and every draw's share."""
    trained = jnp.zeros((start.ntk.shape[0], 1, 1)).at[0].set(1)

    def body(field, layer):
        layer_key = _fold(key, layer)
        after, shares = hidden.step(_fold(layer_key, 0), field)
        following = dense_step(after, sigma_w, sigma_b, trained)
        return following, (following, hidden.normalized(_fold(layer_key, 1), field.nngp), shares)

    _, (fields, normalized, shares) = jax.lax.scan(body, start, jnp.arange(depth))
    stack = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), start, fields)
    return Profile(stack.nngp, stack.ntk, normalized), shares


def _layer(network: Network, x: Array | np.ndarray, samples: int) -> Layer:
    return layer(network.normalizer, network.activation, x.shape[0], samples)


def _fold(key: Any, index: Any) -> Any:
    """The key of one layer or use; no key where nothing is sampled."""
    return None if key is None else jax.random.fold_in(key, index)


def _keys(key: Array | None, replicates: int, hidden: Layer) -> list[Array | None]:
    """A key for each independent propagation; where nothing is sampled there is one propagation and no key."""
    return list(jax.random.split(jax.random.key(0) if key is None else key, replicates)) if hidden.sampled else [None]


def _worst_tail(shares: Float[np.ndarray, "replicates layers draws"]) -> tuple[float, int]:
    """Smallest tail index over the layers, each from all replicates' shares."""
    by_layer = np.moveaxis(shares, 1, 0).reshape(shares.shape[1], -1)
    indices, counts = zip(*map(tail_index, jnp.asarray(by_layer)), strict=True)
    return float(min(indices)), counts[0]
