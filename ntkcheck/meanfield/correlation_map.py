"""The correlation map of one layer at the fixed point of lengths, where the normaliser acts on every input alone.

Two inputs whose pre-activations have variance q and correlation rho get, one layer later, the correlation

    T(rho) = (phi_hat(rho) - s) / (phi_hat(1) - s),    phi_hat(rho) = E[phi(u) phi(v)],  (u, v) ~ N(0, q [[1, rho], [rho, 1]]),

with q the variance of what the activation gets and s what the normaliser and the bias do:

    none                   q = q*     s = -sigma_b^2 / sigma_w^2
    weight_mean            q = q*     s = E[phi]^2 - sigma_b^2 / sigma_w^2
    layer_norm             q = 1      s = -sigma_b^2 / sigma_w^2
    batch_norm             q = 1      s = phi_hat(0) = E[phi]^2

BatchNorm is meant with the statistics of the whole population, in which two typical inputs are centred to correlation 0; rho
is then the correlation of the normalised pre-activations. With the statistics of a mini-batch: `batch_norm_fixed_point`.

Source: Poole et al. 2016 and Schoenholz et al. 2017 (none); MimicNorm (arXiv 2010.09278), theorem 2 and section 3.1 (weight
mean, BatchNorm); claims MN-1, MN-2, MN-4.
"""

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck import activations
from ntkcheck.activations import Activation
from ntkcheck.meanfield.flow import root
from ntkcheck.meanfield.length_map import inputwise_network, length_fixed_point
from ntkcheck.network import Network
from ntkcheck.normalizers import Normalizer, batch_norm, layer_norm

CRITICAL = 1e-11  # chi_1 this close to 1 counts as 1: the duals of tanh are known to 7e-12


class FixedPoint(NamedTuple):
    """The attracting fixed point of a correlation map.

    Attributes:
        correlation: c*. NaN where T(rho) = rho (linear networks; smooth activations whose length shrinks to 0): every
            correlation is a fixed point.
        slope_at_one: chi_1 = T'(1): above 1 chaos, 1 criticality, below 1 order. It is the growth of the squared distance of
            close inputs relative to their length; times `Length.growth` it is that of the distance itself and of the
            squared gradient, sigma_w^2 E[phi'^2] where nothing is divided by the length.
        slope: chi = T'(c*).
        depth_scale: -1 / log(chi), the number of layers in which rho - c* falls by 1/e; inf at criticality.
    """

    correlation: float
    slope_at_one: float
    slope: float
    depth_scale: float


@dataclass(frozen=True)
class CorrelationMap:
    """T(rho) = (phi_hat(rho) - shift) / (phi_hat(1) - shift); call it on correlations, the dtype follows.

    Attributes:
        activation: phi.
        variance: q, of what the activation gets.
        shift: s, see the module.
    """

    activation: Activation
    variance: float
    shift: float

    def __call__(self, rho: Float[Array | np.ndarray, "..."] | float) -> Float[Array, "..."]:
        """The correlation one layer later, for -1 <= rho <= 1."""
        return _value(self.activation, self.variance, self.shift, jnp.asarray(rho))

    def slope(self, rho: Float[Array | np.ndarray, "..."] | float) -> Float[Array, "..."]:
        """T'(rho) = q E[phi'(u) phi'(v)] / (phi_hat(1) - shift), by Price's theorem."""
        return _slope(self.activation, self.variance, self.shift, jnp.asarray(rho))


def correlation_map(
    activation: str | Activation,
    normalizer: str | Normalizer = "none",
    sigma_w: float = 1.0,
    sigma_b: float = 0.0,
    start: float = 1.0,
) -> CorrelationMap:
    """The correlation map T of one layer at the length fixed point.

    Where lengths grow or shrink without end, it is the limit of the maps: positively homogeneous activations have the same map
    at every length (a bias is lost in growing lengths), and smooth ones become linear at small lengths, T(rho) = rho.

    Source: Poole et al. 2016, section 3; MimicNorm (arXiv 2010.09278), theorem 2 and section 3.1; the table in the module.

    Args:
        activation: As in `length_fixed_point`.
        normalizer: none, weight_mean, layer_norm, or batch_norm with the population's statistics.
        sigma_w: Weight standard deviation times sqrt(fan-in); BatchNorm removes it.
        sigma_b: Bias standard deviation; BatchNorm removes it.
        start: As in `length_fixed_point`.

    Raises:
        ValueError: As `length_fixed_point`, and where a limit of the maps is not known: the length of an activation that is not
            positively homogeneous grows without end, or shrinks where its slope is 0.

    Assumes:
        Infinite width. For BatchNorm, a population of many inputs whose variance is spread over many directions.
    """
    network = inputwise_network(activation, normalizer, sigma_w, sigma_b)
    phi, bias = network.activation, sigma_b**2 / sigma_w**2
    with jax.enable_x64(True):
        if network.normalizer.function is batch_norm:
            return CorrelationMap(phi, 1.0, _squared_mean(phi, 1.0))
        if network.normalizer.function is layer_norm:
            return CorrelationMap(phi, 1.0, -bias)
        q = length_fixed_point(phi, network.normalizer, sigma_w, sigma_b, start).q
        if not 0 < q < math.inf:
            if phi.slope is None:
                return _linear_limit(network, q)
            q, bias = 1.0, 0.0
        return CorrelationMap(phi, q, (_squared_mean(phi, q) if network.normalizer.centred_weights else 0) - bias)


def fixed_point(T: CorrelationMap) -> FixedPoint:
    """The correlation that pairs of inputs tend to with depth, and how fast.

    T has a power series with coefficients >= 0 but for the constant, and T(0) >= 0. So it is convex on [0, 1]: where chi_1 <= 1
    its only attracting fixed point is 1; where chi_1 > 1 it is the one zero in [0, 1) of (1 - T(c)) / (1 - c) - 1, which
    increases in c from -T(0) to chi_1 - 1.

    Source: Schoenholz et al. 2017, section 3; Daniely, Frostig & Singer 2016 (the power series).

    Args:
        T: The map, from `correlation_map`.

    Returns:
        The `FixedPoint`, from float64. chi_1 within 1e-11 of 1 counts as critical; c* is good to 1e-15 / (1 - c*).

    Assumes:
        Infinite width.
    """
    with jax.enable_x64(True):
        chi_1, at_zero = float(T.slope(1.0)), float(T(0.0))
        if chi_1 <= 1 + CRITICAL:
            c = math.nan if chi_1 >= 1 - CRITICAL and at_zero <= CRITICAL else 1.0
            return FixedPoint(c, chi_1, chi_1, _depth_scale(chi_1))
        c = 0.0 if at_zero <= 0 else root(lambda c: _chord(T, chi_1, c) - 1, 0.0, 1.0)
        chi = float(T.slope(c))
        return FixedPoint(c, chi_1, chi, _depth_scale(chi))


def iterate(
    T: CorrelationMap, rho0: Float[Array | np.ndarray, "..."] | float, depth: int
) -> Float[np.ndarray, "{depth}+1 ..."]:
    """Correlations through depth: rho0, T(rho0), T(T(rho0)), ... in float64.

    Args:
        T: The map.
        rho0: Correlations of the first pre-activations, in [-1, 1]; any shape.
        depth: Number of layers, 0 or more.

    Raises:
        ValueError: For a correlation outside [-1, 1] or a negative depth.
    """
    rho = np.asarray(rho0, np.float64)
    outside = rho[~(np.abs(rho) <= 1)]
    if outside.size:
        raise ValueError(f"`rho0` must hold correlations in [-1, 1], got {outside.flat[0]}; divide by the lengths.")
    if depth < 0:
        raise ValueError(f"`depth` must be a number of layers, 0 or more, got {depth}.")
    with jax.enable_x64(True):
        return np.asarray(_iterates(T.activation, T.variance, T.shift, jnp.asarray(rho), depth))


@functools.partial(jax.jit, static_argnames="activation")
def _value(activation, q, shift, rho):
    q = jnp.asarray(q, rho.dtype)
    return (activation.dual(q, q, q * rho) - shift) / (activation.dual(q, q, q) - shift)


@functools.partial(jax.jit, static_argnames="activation")
def _slope(activation, q, shift, rho):
    q = jnp.asarray(q, rho.dtype)
    return q * activation.dual_derivative(q, q, q * rho) / (activation.dual(q, q, q) - shift)


@functools.partial(jax.jit, static_argnames=("activation", "depth"))
def _iterates(activation, q, shift, rho, depth):
    def layer(rho, _):
        # Chaos would amplify the rounding of T(1) = 1.
        following = jnp.where(rho < 1, _value(activation, q, shift, rho), 1)
        return following, following

    return jnp.concatenate([rho[None], jax.lax.scan(layer, rho, length=depth)[1]])


def _squared_mean(activation: Activation, q: float) -> float:
    return float(activation.mean(jnp.asarray(q))) ** 2


def _linear_limit(network: Network, q: float) -> CorrelationMap:
    """The map of a smooth activation at q -> 0."""
    phi = network.activation
    if q == 0 and float(phi.derivative_second_moment(jnp.asarray(0.0))) > 0:
        return CorrelationMap(activations.get("identity"), 1.0, 0.0)
    trend, remedy = ("shrinks to 0", "raise") if q == 0 else ("grows without end", "lower")
    raise ValueError(
        f"`sigma_w` must let lengths settle, got {network.sigma_w}: the length {trend} and the correlation map of "
        f"{phi.name} has no known limit; {remedy} `sigma_w` or take a normaliser that fixes lengths, such as layer_norm."
    )


def _chord(T: CorrelationMap, chi_1: float, c: float) -> float:
    """(1 - T(c)) / (1 - c), continued to chi_1 at c = 1."""
    return chi_1 if c == 1 else (1 - float(T(c))) / (1 - c)


def _depth_scale(chi: float) -> float:
    if chi >= 1:
        return math.inf
    return -1 / math.log(chi) if chi > 0 else 0.0
