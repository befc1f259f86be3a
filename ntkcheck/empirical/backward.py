"""What XLA's CPU backend does badly in backward passes, done in another way: a transformation of a pullback's jaxpr.

1. A sum over any but the last axis is fused with what produces its operand and then computed one element at a time; the backward
   pass of BatchNorm is made of such sums. As products with a row of ones they take a tenth of the time.
2. A convolution that asks for the highest precision is not brought into the form that is fast; the derivative in a kernel then
   takes 30 times longer. On the CPU the precision of float32 is full without asking.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, JaxprEqn
from jax.extend.core import primitives as prim
from jaxtyping import Array

from ntkcheck.empirical.interpreter import bind, called, interpret, rescan


def suited_to_cpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of arrays in operations that XLA's CPU backend does well; unchanged on other devices."""
    if jax.default_backend() != "cpu":
        return function

    def rewritten(*args: Any) -> Any:
        jaxpr, out = jax.make_jaxpr(function, return_shape=True)(*args)
        return jax.tree.unflatten(jax.tree.structure(out), _evaluate(jaxpr, jax.tree.leaves(args)))

    return rewritten


def _evaluate(closed: ClosedJaxpr, args: list[Any]) -> list[Any]:
    return interpret(closed, args, _rule)


def _rule(eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    if eqn.primitive is prim.jit_p:
        return _evaluate(called(eqn), values)
    if eqn.primitive is prim.scan_p:
        return rescan(eqn, values, None, lambda operands, _: (_evaluate(called(eqn), operands), None))[0]
    if eqn.primitive is prim.conv_general_dilated_p:
        return bind(eqn.replace(params=eqn.params | {"precision": None}), values)
    if eqn.primitive is prim.reduce_sum_p and _is_inner_sum(values[0], eqn.params["axes"]):
        return [_product_sum(values[0], eqn.params["axes"])]
    return bind(eqn, values)


def _is_inner_sum(x: Array, axes: tuple[int, ...]) -> bool:
    """Whether the summed axes are adjacent and the last axis is kept."""
    adjacent = tuple(sorted(axes)) == tuple(range(min(axes), max(axes) + 1)) if axes else False
    return adjacent and max(axes) < x.ndim - 1 and jnp.issubdtype(x.dtype, jnp.floating)


def _product_sum(x: Array, axes: tuple[int, ...]) -> Array:
    before, after = x.shape[: min(axes)], x.shape[max(axes) + 1 :]
    batched = x.reshape(math.prod(before), math.prod(x.shape[axis] for axis in axes), math.prod(after))
    ones = jnp.ones((batched.shape[0], 1, batched.shape[1]), x.dtype)
    return jnp.matmul(ones, batched, precision=jax.lax.Precision.HIGHEST).reshape(*before, *after)
