"""What XLA's CPU backend does badly in backward passes, done in another way: a transformation of a pullback's jaxpr.

1. A sum over any but the last axis is fused with what produces its operand and then computed one element at a time; the backward
   pass of BatchNorm is made of such sums. As products with a row of ones they take a tenth of the time; a change of sign that goes
   before the sum is put behind it, or else the operand would be written once more.
2. A convolution in a loop (over outputs, or of a scanned network) is not brought into the layout that is fast, samples first and
   channels last; the derivative in a kernel, where they have changed places, then takes 30 times longer.
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
    positive: dict[int, tuple[Any, Any]] = {}  # by the id of -x: -x, which so keeps its id, and x

    def rule(eqn: JaxprEqn, values: list[Any]) -> list[Any]:
        if eqn.primitive is prim.reduce_sum_p and id(values[0]) in positive:
            return [-out for out in _rule(eqn, [positive[id(values[0])][1]])]
        outs = _rule(eqn, values)
        if eqn.primitive is prim.neg_p:
            positive[id(outs[0])] = outs[0], values[0]
        return outs

    return interpret(closed, args, rule)


def _rule(eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    if eqn.primitive is prim.jit_p:
        return _evaluate(called(eqn), values)
    if eqn.primitive is prim.scan_p:
        return rescan(eqn, values, None, lambda operands, _: (_evaluate(called(eqn), operands), None))[0]
    if eqn.primitive is prim.conv_general_dilated_p:
        return [_channels_last_convolution(eqn, *values)]
    if eqn.primitive is prim.reduce_sum_p:
        axes = tuple(int(axis) for axis in sorted(eqn.params["axes"]))
        return [_product_sum(values[0], axes)] if _is_inner_sum(values[0], axes) else bind(eqn, values)
    return bind(eqn, values)


def _is_inner_sum(x: Array, axes: tuple[int, ...]) -> bool:
    """Whether the summed axes are adjacent and the last axis is kept."""
    if not axes or axes != tuple(range(axes[0], axes[-1] + 1)):
        return False
    return axes[-1] < x.ndim - 1 and bool(jnp.issubdtype(x.dtype, jnp.floating))


def _product_sum(x: Array, axes: tuple[int, ...]) -> Array:
    before, after = x.shape[: axes[0]], x.shape[axes[-1] + 1 :]
    batched = x.reshape(math.prod(before), math.prod(x.shape[axis] for axis in axes), math.prod(after))
    ones = jnp.ones((batched.shape[0], 1, batched.shape[1]), x.dtype)
    return jnp.matmul(ones, batched, precision=jax.lax.Precision.HIGHEST).reshape(*before, *after)


def _channels_last_convolution(eqn: JaxprEqn, images: Array, kernel: Array) -> Array:
    images_spec, kernel_spec, out_spec = eqn.params["dimension_numbers"]
    spatial = tuple(range(1, images.ndim - 1))
    layout = jax.lax.ConvDimensionNumbers(
        lhs_spec=(0, images.ndim - 1, *spatial),
        rhs_spec=(images.ndim - 1, images.ndim - 2, *(axis - 1 for axis in spatial)),
        out_spec=(0, images.ndim - 1, *spatial),
    )
    options = {name: value for name, value in eqn.params.items() if name != "dimension_numbers"}
    out = jax.lax.conv_general_dilated(
        images.transpose(images_spec[0], *images_spec[2:], images_spec[1]),
        kernel.transpose(*kernel_spec[2:], kernel_spec[1], kernel_spec[0]),
        dimension_numbers=layout,
        **options,
    )
    order = (out_spec[0], *out_spec[2:], out_spec[1])
    return out.transpose([order.index(axis) for axis in range(out.ndim)])
