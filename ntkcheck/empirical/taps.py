"""Zero-valued taps in a network: the transformation of its jaxpr behind the empirical NTK.

The transformed network adds a tap to every product y = a W of a chosen weight and records a; the derivative of an output in the
tap is its derivative in y. Where no chosen parameter goes in, every operation is bound as it was, custom derivatives included.
"""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, JaxprEqn, Var
from jax.extend.core import primitives as prim
from jaxtyping import Array

from ntkcheck.empirical.axes import REARRANGEMENTS, centring, shape_of
from ntkcheck.empirical.interpreter import bind, called, interpret, rescan
from ntkcheck.empirical.sites import ELEMENTWISE, free_axes, is_scaling

PRODUCTS = frozenset({prim.dot_general_p, prim.conv_general_dilated_p})
Activations = dict[int, Array]


class Mark(NamedTuple):
    """A chosen parameter on its way to its use: which one, its tap, what it has been multiplied by, whether it lost its mean."""

    leaf: int
    tap: Array
    scale: Any = 1.0
    centred: bool = False


def evaluate(network: ClosedJaxpr, args: list[Any], taps: dict[int, Array]) -> tuple[list[Any], Activations]:
    """Outputs with a tap where each argument in `taps` is used, and the activations that it meets there."""
    return _evaluate(network, args, {i: [Mark(i, tap)] for i, tap in taps.items()})


def _evaluate(network: ClosedJaxpr, args: list[Any], arriving: dict[int, list[Mark]]) -> tuple[list[Any], Activations]:
    marks: dict[Any, list[Mark]] = {network.jaxpr.invars[i]: arrived for i, arrived in arriving.items()}
    activations: Activations = {}

    def rule(eqn: JaxprEqn, values: list[Any]) -> list[Any]:
        here = {i: marks[atom] for i, atom in enumerate(eqn.invars) if isinstance(atom, Var) and atom in marks}
        if eqn.primitive is prim.reduce_sum_p:  # the mean of a weight, which the subtraction takes care of
            return bind(eqn, values)
        subtractions = [found.subtraction for i in here if (found := centring(network.jaxpr, eqn.invars[i]))]
        if any(eqn is subtraction for subtraction in subtractions):
            marks[eqn.outvars[0]] = [mark._replace(centred=True) for mark in here[0]]
            return bind(eqn, values)
        passing = [mark for i in here if _passes_on(eqn, i) for mark in _rescaled(eqn, i, values, here[i])]
        if passing:
            marks[eqn.outvars[0]] = passing
        used = {i: arrived for i, arrived in here.items() if not _passes_on(eqn, i)}
        outs, recorded = _tapped(eqn, values, used) if used else (bind(eqn, values), {})
        activations.update(recorded)
        return outs

    return interpret(network, args, rule), activations


def _passes_on(eqn: JaxprEqn, i: int) -> bool:
    """Whether a parameter at operand i is only rearranged or multiplied by a number, its use still to come."""
    return eqn.primitive in REARRANGEMENTS or is_scaling(eqn, i)


def _rescaled(eqn: JaxprEqn, i: int, values: list[Any], arrived: list[Mark]) -> list[Mark]:
    if eqn.primitive in REARRANGEMENTS:
        return arrived
    factor = values[1 - i] if eqn.primitive is prim.mul_p else 1 / values[1 - i]
    return [mark._replace(scale=mark.scale * factor) for mark in arrived]


def _tapped(eqn: JaxprEqn, values: list[Any], used: dict[int, list[Mark]]) -> tuple[list[Any], Activations]:
    if eqn.primitive in PRODUCTS:
        return _tapped_product(eqn, values, used)
    if eqn.primitive in ELEMENTWISE:
        return _tapped_elementwise(eqn, values, used), {}
    body, taps = called(eqn), {mark.leaf: mark.tap for arrived in used.values() for mark in arrived}

    def inner(values: list[Any], taps: dict[int, Array]) -> tuple[list[Any], Activations]:
        return _evaluate(body, values, {i: [m._replace(tap=taps[m.leaf]) for m in used[i]] for i in used})

    if eqn.primitive is prim.scan_p:
        return rescan(eqn, values, taps, inner)
    if eqn.primitive is prim.remat_p:
        inner = jax.checkpoint(inner, prevent_cse=eqn.params["prevent_cse"], policy=eqn.params["policy"])
    return inner(values, taps)


def _tapped_product(eqn: JaxprEqn, values: list[Any], used: dict[int, list[Mark]]) -> tuple[list[Any], Activations]:
    """y = a W + tap, with a as (*groups, positions, fan_in) and the tap as (*groups, positions, fan_out)."""
    [y] = bind(eqn, values)
    convolves = eqn.primitive is prim.conv_general_dilated_p
    activations = {}
    for i, mark in ((i, mark) for i, arrived in used.items() for mark in arrived):
        *groups, positions, _ = mark.tap.shape
        inputs = _patches(eqn, values[0]) if convolves else _rows(eqn, 1 - i, values[1 - i])
        inputs = jnp.moveaxis(inputs.reshape(positions, *groups, -1), 0, -2)
        centred = inputs - jnp.mean(inputs, -1, keepdims=True) if mark.centred else inputs
        activations[mark.leaf] = mark.scale * centred
        y = y + (_image(eqn, mark.tap) if convolves else (mark.tap if i == 1 else mark.tap.T).reshape(y.shape))
    return [y], activations


def _rows(eqn: JaxprEqn, i: int, operand: Array) -> Array:
    """Operand i of a product with the contracted axes last."""
    return operand.transpose(*free_axes(eqn, i), *eqn.params["dimension_numbers"][0][i])


def _patches(eqn: JaxprEqn, images: Array) -> Array:
    """What the kernel of a convolution meets at each position: (batch, *positions, channels, kernel positions)."""
    images_spec, kernel_spec, out_spec = eqn.params["dimension_numbers"]
    spatial = range(2, len(images_spec))
    kernel = [shape_of(eqn.invars[1])[kernel_spec[axis]] for axis in spatial]
    out = [shape_of(eqn.outvars[0])[out_spec[axis]] for axis in spatial]
    strides, steps = eqn.params["window_strides"], eqn.params["rhs_dilation"]
    borders = [(*pad, gap - 1) for pad, gap in zip(eqn.params["padding"], eqn.params["lhs_dilation"], strict=True)]
    padded = jax.lax.pad(images.transpose(images_spec), jnp.zeros((), images.dtype), [(0, 0, 0), (0, 0, 0), *borders])

    def shifted(offset: tuple[int, ...]) -> Array:
        starts = [shift * step for shift, step in zip(offset, steps, strict=True)]
        limits = [start + (size - 1) * stride + 1 for start, size, stride in zip(starts, out, strides, strict=True)]
        return jax.lax.slice(padded, (0, 0, *starts), (*padded.shape[:2], *limits), (1, 1, *strides))

    return jnp.moveaxis(jnp.stack([shifted(o) for o in itertools.product(*map(range, kernel))], -1), 1, -2)


def _image(eqn: JaxprEqn, rows: Array) -> Array:
    """Rows of outputs (*groups, positions, channels), one per sample and position, as the output of a convolution."""
    spec = eqn.params["dimension_numbers"][2]
    order = (spec[0], *spec[2:], spec[1])
    shape = shape_of(eqn.outvars[0])
    channels_last = jnp.moveaxis(rows, -2, 0).reshape([shape[axis] for axis in order])
    return channels_last.transpose([order.index(axis) for axis in range(len(shape))])


def _tapped_elementwise(eqn: JaxprEqn, values: list[Any], used: dict[int, list[Mark]]) -> list[Any]:
    """The operation on the operand plus its tap, which has a row for each sample where the operand had one for all."""
    shape = shape_of(eqn.outvars[0])
    tapped = [sum((mark.scale * mark.tap for mark in used.get(i, [])), start=value) for i, value in enumerate(values)]
    return bind(eqn, [jnp.broadcast_to(value, shape) for value in tapped])
