"""Where a parameter enters a network: the static analysis of its jaxpr behind the empirical NTK.

A weight W that enters one product y = a W, and nothing else, has a share of the NTK that needs only a and the derivatives in y; a
convolution is such a product of patches, one for each group of channels. A parameter that enters one elementwise operation by
broadcasting (bias, scale) has per-sample gradients that are the rows of the operand's derivative. On the way the parameter may be
rearranged, multiplied by numbers, and handed to calls and scans; a weight's mean over the fan-in may be subtracted from it, because
a (W - mean W) = (a - mean a) W. Whatever is not recognised gets its plain Jacobian.
"""

import dataclasses
import math
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn, Var
from jax.extend.core import primitives as prim

from ntkcheck.empirical.axes import REARRANGEMENTS, Axes, centring, follow, is_output, readers, shape_of
from ntkcheck.empirical.interpreter import called, scan_operands

ELEMENTWISE = frozenset({prim.add_p, prim.sub_p, prim.mul_p, prim.div_p})
CALLS = frozenset({prim.jit_p, prim.closed_call_p, prim.remat_p})


@dataclasses.dataclass(frozen=True)
class Dense:
    """The one product y = a W of a weight, a being (*stack, positions, fan_in); the groups of a convolution are a stack."""

    stack: tuple[int, ...]
    positions: int
    fan_in: int
    fan_out: int
    leading: int  # the first axis of what the positions count: the batch, if any
    dtype: Any
    centred: bool = False  # whether the weight's mean over the fan-in is subtracted before the product
    grouped: bool = False  # whether the last axis of the stack counts groups

    def tap_shape(self) -> tuple[int, ...]:
        """Shape of y, as rows of outputs."""
        return (*self.stack, self.positions, self.fan_out)


@dataclasses.dataclass(frozen=True)
class Rowwise:
    """The one elementwise operation of a bias or scale with every row of a batch."""

    stack: tuple[int, ...]
    operand: tuple[int, ...]
    summed: tuple[int, ...]  # axes of the operand, besides the first, along which the parameter was copied
    leading: int
    dtype: Any

    def tap_shape(self) -> tuple[int, ...]:
        """Shape of the operand with a row for each sample."""
        return (*self.stack, self.leading, *self.operand[1:])


Site = Dense | Rowwise


def dtype_of(atom: Any) -> Any:
    """Number type of a variable or literal."""
    return atom.aval.dtype


def is_used(jaxpr: Jaxpr, var: Var) -> bool:
    """Whether anything reads a variable."""
    return is_output(jaxpr, var) or bool(readers(jaxpr, var))


def find_site(jaxpr: Jaxpr, var: Var) -> Site | None:
    """The only use of a variable, if it is of a kind that needs no Jacobian."""
    none = (False,) * len(shape_of(var))
    return _find(jaxpr, var, Axes(none, none))


def _find(jaxpr: Jaxpr, var: Var, axes: Axes) -> Site | None:
    """`find_site` for a variable that holds copies of the parameter, or the parameter without its mean, along some axes."""
    centred = centring(jaxpr, var)
    if centred is not None:
        flags = tuple(axis in centred.axes for axis in range(len(shape_of(var))))
        is_plain = not any((*axes.copied, *axes.centred))
        return _find(jaxpr, centred.subtraction.outvars[0], axes._replace(centred=flags)) if is_plain else None
    found = readers(jaxpr, var)
    if len(found) != 1 or is_output(jaxpr, var):
        return None
    [(eqn, i)] = found
    if eqn.primitive is prim.dot_general_p:
        return None if any(axes.copied) else _product_site(eqn, i, axes)
    if eqn.primitive is prim.conv_general_dilated_p:
        return None if any(axes.copied) else _convolution_site(eqn, i, axes)
    if is_scaling(eqn, i):
        return _find(jaxpr, eqn.outvars[0], axes)
    if eqn.primitive in ELEMENTWISE:
        return None if any(axes.centred) else _rowwise_site(eqn, i, axes.copied)
    if eqn.primitive in REARRANGEMENTS:
        moved = follow(eqn, axes)
        return None if moved is None else _find(jaxpr, eqn.outvars[0], moved)
    if eqn.primitive in CALLS:
        body = called(eqn).jaxpr
        return _find(body, body.invars[i], axes)
    return _stacked_site(eqn, i, axes) if eqn.primitive is prim.scan_p else None


def is_scaling(eqn: JaxprEqn, i: int) -> bool:
    """Whether operand i is only multiplied or divided by a number."""
    if eqn.primitive is not prim.mul_p and (eqn.primitive is not prim.div_p or i == 1):
        return False
    return shape_of(eqn.invars[1 - i]) == () and shape_of(eqn.outvars[0]) == shape_of(eqn.invars[i])


def free_axes(eqn: JaxprEqn, i: int) -> tuple[int, ...]:
    """Axes of operand i of a matrix product that are not contracted."""
    contracted = eqn.params["dimension_numbers"][0][i]
    return tuple(axis for axis in range(len(shape_of(eqn.invars[i]))) if axis not in contracted)


def _product_site(eqn: JaxprEqn, i: int, axes: Axes) -> Dense | None:
    contracted, batched = eqn.params["dimension_numbers"]
    if batched[0]:
        return None
    weight, inputs = shape_of(eqn.invars[i]), shape_of(eqn.invars[1 - i])
    rows = [inputs[axis] for axis in free_axes(eqn, 1 - i)]
    return _dense_site(eqn, rows, weight, contracted[i], axes)


def _convolution_site(eqn: JaxprEqn, i: int, axes: Axes) -> Dense | None:
    if i != 1 or eqn.params["batch_group_count"] != 1:
        return None
    _, kernel, spec = eqn.params["dimension_numbers"]
    out, weight = shape_of(eqn.outvars[0]), shape_of(eqn.invars[1])
    rows = [out[axis] for axis in (spec[0], *spec[2:])]
    return _dense_site(eqn, rows, weight, kernel[1:], axes, groups=eqn.params["feature_group_count"])


def _dense_site(
    eqn: JaxprEqn, rows: list[int], weight: tuple[int, ...], summed: tuple[int, ...], axes: Axes, groups: int = 1
) -> Dense | None:
    """The product of rows with a weight whose axes `summed` are the fan-in; its mean is over all of them or none."""
    if any(axes.centred) and any(axes.centred[k] != (k in summed) for k, size in enumerate(weight) if size > 1):
        return None
    fan_in = math.prod(weight[axis] for axis in summed)
    return Dense(
        stack=(groups,) if groups > 1 else (),
        positions=math.prod(rows),
        fan_in=fan_in,
        fan_out=math.prod(weight) // fan_in // groups,
        leading=rows[0] if rows else 1,
        dtype=dtype_of(eqn.outvars[0]),
        centred=any(axes.centred),
        grouped=groups > 1,
    )


def _rowwise_site(eqn: JaxprEqn, i: int, copied: tuple[bool, ...]) -> Rowwise | None:
    operand, out = shape_of(eqn.invars[i]), shape_of(eqn.outvars[0])
    if operand == ():
        operand, copied = (1,) * len(out), (False,) * len(out)
    if not out or not (operand[0] == 1 or copied[0]):
        return None
    summed = tuple(axis for axis in range(1, len(out)) if copied[axis])
    return Rowwise((), operand, summed, out[0], dtype_of(eqn.invars[i]))


def _stacked_site(eqn: JaxprEqn, i: int, axes: Axes) -> Site | None:
    """The site in a scan's body of a parameter that the scan slices, one slice per step."""
    if i < scan_operands(eqn)[1] or axes.copied[0] or axes.centred[0]:
        return None
    body = called(eqn).jaxpr
    site = _find(body, body.invars[i], Axes(axes.copied[1:], axes.centred[1:]))
    return None if site is None else dataclasses.replace(site, stack=(eqn.params["length"], *site.stack))
