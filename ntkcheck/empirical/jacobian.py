"""The empirical NTK from the network's full Jacobian: short, general, and the oracle of `empirical_ntk`."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree


def empirical_ntk_jacobian(
    apply: Callable[..., Array], params: PyTree, x: Float[Array, "batch ..."]
) -> Float[Array, "batch batch"]:
    """Empirical NTK of a network at its parameters, by forming the Jacobian.

    Theta[b, b'] = sum_c sum_theta (d f_c(x)_b / d theta) (d f_c(x)_{b'} / d theta)

    Its memory is batch x outputs x parameters; `empirical_ntk` gives the same numbers without that.

    Source: Jacot, Gabriel & Hongler 2018, eq. of the neural tangent kernel in section 4, traced over the outputs.

    Args:
        apply: The network, `apply(params, x) -> (batch, outputs)`.
        params: A pytree of floating arrays.
        x: The batch of inputs, along the first axis.

    Returns:
        The kernel, in the dtype of the outputs, with matrix products at full precision.
    """
    with jax.default_matmul_precision("highest"):
        jacobian = jax.jacrev(apply)(params, x)
        flat = [leaf.reshape(*leaf.shape[:2], -1) for leaf in jax.tree.leaves(jacobian)]
        return sum((jnp.einsum("bcp,dcp->bd", leaf, leaf) for leaf in flat), start=jnp.zeros(2 * x.shape[:1]))
