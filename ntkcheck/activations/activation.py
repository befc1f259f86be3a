"""What the infinite-width theory needs to know about an activation function."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Array, Float

Duals = Callable[[Array, Array, Array], tuple[Array, Array]]
Moment = Callable[[Array], Array]


@dataclass(frozen=True)
class Activation:
    """An activation function phi with its Gaussian expectations.

    (u, v) ~ N(0, [[q1, k12], [k12, q2]]) and u ~ N(0, q) are pre-activations. Every function is elementwise on arrays of
    one floating dtype that broadcast against each other, and the result has that dtype. An `Activation` is hashable and
    `get` returns the same object for the same arguments, so it can be a static argument of `jax.jit`.

    Attributes:
        name: the name in messages and stored measurements.
        phi: the function itself, elementwise.
        duals: (q1, q2, k12) -> (E[phi(u) phi(v)], E[phi'(u) phi'(v)]), which share most of their work. A `k12` that
            exceeds sqrt(q1 q2) by rounding counts as perfect correlation.
        mean: q -> E[phi(u)].
        second_moment: q -> E[phi(u)^2], the dual at k12 = q1 = q2, differentiable there.
        derivative_second_moment: q -> E[phi'(u)^2].
        slope: alpha where phi is positively homogeneous, phi(t) = t for t > 0 and alpha t for t <= 0; None elsewhere.
    """

    name: str
    phi: Callable[[Array], Array]
    duals: Duals
    mean: Moment
    second_moment: Moment
    derivative_second_moment: Moment
    slope: float | None = None

    def dual(self, q1: Float[Array, "..."], q2: Float[Array, "..."], k12: Float[Array, "..."]) -> Float[Array, "..."]:
        """The dual activation E[phi(u) phi(v)].

        Source: Daniely, Frostig & Singer (2016), Toward deeper understanding of neural networks.

        Args:
            q1: variance of u, >= 0.
            q2: variance of v, >= 0.
            k12: covariance of u and v.
        """
        return self.duals(q1, q2, k12)[0]

    def dual_derivative(
        self, q1: Float[Array, "..."], q2: Float[Array, "..."], k12: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """The dual of the derivative, E[phi'(u) phi'(v)] = d E[phi(u) phi(v)] / d k12.

        Source: Price (1958), A useful theorem for nonlinear devices having Gaussian inputs.

        Args:
            q1: variance of u, >= 0.
            q2: variance of v, >= 0.
            k12: covariance of u and v.
        """
        return self.duals(q1, q2, k12)[1]
