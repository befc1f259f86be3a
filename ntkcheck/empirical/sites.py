"""Where a parameter enters a network: the static analysis of its jaxpr behind the empirical NTK.

A weight W that enters one product y = a W, and nothing else, has a share of the NTK that needs only a and the derivatives in y; a
convolution is such a product of patches. A parameter that enters one elementwise operation by broadcasting (bias, scale) has
per-sample gradients that are the rows of the operand's derivative. On the way the parameter may be rearranged, multiplied by
numbers, and handed to calls and scans. Whatever is not recognised gets its plain Jacobian.
"""

import dataclasses
import math
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn, Var
from jax.extend.core import primitives as prim

from ntkcheck.empirical.interpreter import called, scan_operands

REARRANGEMENTS = frozenset({prim.transpose_p, prim.reshape_p, prim.squeeze_p, prim.rev_p, prim.broadcast_in_dim_p})
ELEMENTWISE = frozenset({prim.add_p, prim.sub_p, prim.mul_p, prim.div_p})
CALLS = frozenset({prim.jit_p, prim.closed_call_p, prim.remat_p})


@dataclasses.dataclass(frozen=True)
class Dense:
    """The one product y = a W of a weight, a being (*stack, positions, fan_in)."""

    stack: tuple[int, ...]
    positions: int
    fan_in: int
    fan_out: int
    leading: int  # the first axis of what the positions count: the batch, if any
    dtype: Any

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


def shape_of(atom: Any) -> tuple[int, ...]:
    """Shape of a variable or literal."""
    return atom.aval.shape


def dtype_of(atom: Any) -> Any:
    """Number type of a variable or literal."""
    return atom.aval.dtype


def is_used(jaxpr: Jaxpr, var: Var) -> bool:
    """Whether anything reads a variable."""
    return any(atom is var for atom in [*jaxpr.outvars, *(atom for eqn in jaxpr.eqns for atom in eqn.invars)])


def find_site(jaxpr: Jaxpr, var: Var) -> Site | None:
    """The only use of a variable, if it is of a kind that needs no Jacobian."""
    return _find(jaxpr, var, (False,) * len(shape_of(var)))


def _only_reader(jaxpr: Jaxpr, var: Var) -> tuple[JaxprEqn, int] | None:
    """The operation that alone reads a variable, with the operand's place."""
    readers = [(eqn, i) for eqn in jaxpr.eqns for i, atom in enumerate(eqn.invars) if atom is var]
    is_output = any(atom is var for atom in jaxpr.outvars)
    return readers[0] if len(readers) == 1 and not is_output else None


def _find(jaxpr: Jaxpr, var: Var, copied: tuple[bool, ...]) -> Site | None:
    """`find_site` for a variable that holds copies of the parameter along the `copied` axes."""
    reader = _only_reader(jaxpr, var)
    if reader is None:
        return None
    eqn, i = reader
    if eqn.primitive is prim.dot_general_p:
        return None if any(copied) else _product_site(eqn, i)
    if eqn.primitive is prim.conv_general_dilated_p:
        return None if any(copied) else _convolution_site(eqn, i)
    if is_scaling(eqn, i):
        return _find(jaxpr, eqn.outvars[0], copied)
    if eqn.primitive in ELEMENTWISE:
        return _rowwise_site(eqn, i, copied)
    if eqn.primitive in REARRANGEMENTS:
        moved = _follow_copies(eqn, copied)
        return None if moved is None else _find(jaxpr, eqn.outvars[0], moved)
    if eqn.primitive in CALLS:
        body = called(eqn).jaxpr
        return _find(body, body.invars[i], copied)
    return _stacked_site(eqn, i, copied) if eqn.primitive is prim.scan_p else None


def is_scaling(eqn: JaxprEqn, i: int) -> bool:
    """Whether operand i is only multiplied or divided by a number."""
    if eqn.primitive is not prim.mul_p and (eqn.primitive is not prim.div_p or i == 1):
        return False
    return shape_of(eqn.invars[1 - i]) == () and shape_of(eqn.outvars[0]) == shape_of(eqn.invars[i])


def free_axes(eqn: JaxprEqn, i: int) -> tuple[int, ...]:
    """Axes of operand i of a matrix product that are not contracted."""
    contracted = eqn.params["dimension_numbers"][0][i]
    return tuple(axis for axis in range(len(shape_of(eqn.invars[i]))) if axis not in contracted)


def _product_site(eqn: JaxprEqn, i: int) -> Dense | None:
    contracted, batched = eqn.params["dimension_numbers"]
    if batched[0]:
        return None
    weight, inputs = shape_of(eqn.invars[i]), shape_of(eqn.invars[1 - i])
    return _dense_site(
        eqn,
        rows=[inputs[axis] for axis in free_axes(eqn, 1 - i)],
        fan_in=math.prod(weight[axis] for axis in contracted[i]),
        fan_out=math.prod(weight[axis] for axis in free_axes(eqn, i)),
    )


def _convolution_site(eqn: JaxprEqn, i: int) -> Dense | None:
    if i != 1 or eqn.params["feature_group_count"] != 1 or eqn.params["batch_group_count"] != 1:
        return None
    _, kernel, spec = eqn.params["dimension_numbers"]
    out, weight = shape_of(eqn.outvars[0]), shape_of(eqn.invars[1])
    rows = [out[axis] for axis in (spec[0], *spec[2:])]
    return _dense_site(eqn, rows, fan_in=math.prod(weight) // weight[kernel[0]], fan_out=weight[kernel[0]])


def _dense_site(eqn: JaxprEqn, rows: list[int], fan_in: int, fan_out: int) -> Dense:
    leading = rows[0] if rows else 1
    return Dense((), math.prod(rows), fan_in, fan_out, leading, dtype_of(eqn.outvars[0]))


def _rowwise_site(eqn: JaxprEqn, i: int, copied: tuple[bool, ...]) -> Rowwise | None:
    operand, out = shape_of(eqn.invars[i]), shape_of(eqn.outvars[0])
    if operand == ():
        operand, copied = (1,) * len(out), (False,) * len(out)
    if not out or not (operand[0] == 1 or copied[0]):
        return None
    summed = tuple(axis for axis in range(1, len(out)) if copied[axis])
    return Rowwise((), operand, summed, out[0], dtype_of(eqn.invars[i]))


def _stacked_site(eqn: JaxprEqn, i: int, copied: tuple[bool, ...]) -> Site | None:
    """The site in a scan's body of a parameter that the scan slices, one slice per step."""
    if i < scan_operands(eqn)[1] or copied[0]:
        return None
    body = called(eqn).jaxpr
    site = _find(body, body.invars[i], copied[1:])
    return None if site is None else dataclasses.replace(site, stack=(eqn.params["length"], *site.stack))


def _follow_copies(eqn: JaxprEqn, copied: tuple[bool, ...]) -> tuple[bool, ...] | None:
    """Which axes of a rearranged variable hold copies; None where they cannot be told apart."""
    before, after = shape_of(eqn.invars[0]), shape_of(eqn.outvars[0])
    if eqn.primitive is prim.broadcast_in_dim_p:
        source: dict[int, int] = {axis: k for k, axis in enumerate(eqn.params["broadcast_dimensions"])}
        return tuple(
            size > 1 and (axis not in source or copied[source[axis]] or before[source[axis]] == 1)
            for axis, size in enumerate(after)
        )
    if eqn.primitive is prim.transpose_p:
        return tuple(copied[axis] for axis in eqn.params["permutation"])
    return None if any(copied) else (False,) * len(after)
