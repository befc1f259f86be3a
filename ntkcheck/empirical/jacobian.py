"""The empirical NTK from the network's full Jacobian: short, general, and the oracle of `empirical_ntk`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ntkcheck.compilation import compiled


@compiled("apply")
def empirical_ntk_jacobian(
    apply: Callable[[Any, Array], Array], params: PyTree[Float[Array, "..."]], x: Float[Array, "batch ..."]
) -> Float[Array, "batch batch"]:
    """Empirical NTK of a network at its parameters, from its Jacobian.

    Theta[b, b'] = sum_c sum_theta (d f_c(x)_b / d theta) (d f_c(x)_{b'} / d theta)

    The Jacobian takes batch x outputs x parameters numbers; `empirical_ntk` gives the same kernel without it.

    Source: Jacot, Gabriel & Hongler 2018, section 4, traced over the outputs.

    Args:
        apply: The network, `apply(params, x) -> (batch, outputs)`.
        params: A pytree of floating arrays.
        x: The batch of inputs, along the first axis.

    Returns:
        The kernel, with matrix products at full precision.
    """
    with jax.default_matmul_precision("highest"):
        jacobian = jax.jacrev(apply)(params, x)
        shares = [jnp.einsum("bc...,dc...->bd", leaf, leaf) for leaf in jax.tree.leaves(jacobian)]
        return jnp.stack(shares).sum(0)
