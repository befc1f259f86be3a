"""Where a parameter enters a network: the static analysis of its jaxpr behind the empirical NTK.

A parameter W that enters one matrix product y = a W, and nothing else, has a share of the NTK that needs only a and the
cotangents of y. A parameter that enters one elementwise operation by broadcasting (bias, scale) has per-sample gradients that are
the rows of the operand's cotangent. Both are found here; whatever is not recognised gets its plain Jacobian.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Var
from jax.extend.core import primitives as prim

REARRANGEMENTS = frozenset(
    {prim.transpose_p, prim.reshape_p, prim.squeeze_p, prim.rev_p, prim.copy_p, prim.broadcast_in_dim_p}
)
SCALINGS = frozenset({prim.mul_p, prim.div_p})
ELEMENTWISE = frozenset({prim.add_p, prim.sub_p, prim.mul_p, prim.div_p})
CALLS = frozenset({prim.jit_p, prim.closed_call_p, prim.remat_p})


@dataclasses.dataclass(frozen=True)
class Dense:
    """A weight whose only use is y = a W: a is (*stack, positions, fan_in), the tap on y (*stack, positions, fan_out)."""

    stack: tuple[int, ...]
    positions: int
    fan_in: int
    fan_out: int
    leading: int  # length of the first axis of a
    dtype: Any

    @property
    def tap_shape(self) -> tuple[int, ...]:
        return (*self.stack, self.positions, self.fan_out)


@dataclasses.dataclass(frozen=True)
class Rowwise:
    """A bias or scale whose only use is one elementwise operation with every row of the batch."""

    stack: tuple[int, ...]
    operand: tuple[int, ...]
    leading: int
    summed: tuple[int, ...]  # axes of the operand, besides the first, along which the parameter was copied
    dtype: Any

    @property
    def tap_shape(self) -> tuple[int, ...]:
        return (*self.stack, self.leading, *self.operand[1:])


Site = Dense | Rowwise


def uses(jaxpr: Jaxpr, var: Var) -> list[tuple[JaxprEqn | None, int]]:
    """Every place where a variable is read; None stands for the outputs."""
    reads: list[tuple[JaxprEqn | None, int]] = [
        (eqn, i) for eqn in jaxpr.eqns for i, operand in enumerate(eqn.invars) if operand is var
    ]
    return reads + [(None, i) for i, out in enumerate(jaxpr.outvars) if out is var]


def find_site(jaxpr: Jaxpr, var: Var) -> Site | None:
    """The one dense or row-wise use of a variable, or None where there is no such use."""
    return _find(jaxpr, var, (False,) * len(var.aval.shape))


def _find(jaxpr: Jaxpr, var: Var, copied: tuple[bool, ...]) -> Site | None:
    reads = uses(jaxpr, var)
    if len(reads) != 1 or reads[0][0] is None:
        return None
    eqn, i = reads[0]
    if eqn.primitive is prim.dot_general_p:
        return None if any(copied) else _dense_site(eqn, i)
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
    if eqn.primitive is prim.scan_p:
        return _stacked_site(eqn, i, copied)
    return None


def called(eqn: JaxprEqn) -> ClosedJaxpr:
    """The jaxpr that a call, a rematerialised block or a scan runs."""
    body = eqn.params["call_jaxpr"] if "call_jaxpr" in eqn.params else eqn.params["jaxpr"]
    return body if isinstance(body, ClosedJaxpr) else ClosedJaxpr(body, ())


def is_scaling(eqn: JaxprEqn, i: int) -> bool:
    """Whether operand i is only multiplied or divided by a number."""
    if eqn.primitive not in SCALINGS or (eqn.primitive is prim.div_p and i == 1):
        return False
    other, out = eqn.invars[1 - i], eqn.outvars[0]
    return other.aval.shape == () and out.aval.shape == eqn.invars[i].aval.shape


def free_axes(eqn: JaxprEqn, i: int) -> tuple[int, ...]:
    """Axes of operand i of a matrix product that are not contracted."""
    contracted = eqn.params["dimension_numbers"][0][i]
    return tuple(axis for axis in range(len(eqn.invars[i].aval.shape)) if axis not in contracted)


def _dense_site(eqn: JaxprEqn, i: int) -> Dense | None:
    (contracted, batched) = eqn.params["dimension_numbers"]
    if batched[0] or not contracted[0]:
        return None
    weight, inputs = eqn.invars[i].aval.shape, eqn.invars[1 - i].aval.shape
    rows = [inputs[axis] for axis in free_axes(eqn, 1 - i)]
    return Dense(
        stack=(),
        positions=math.prod(rows),
        fan_in=math.prod(weight[axis] for axis in contracted[i]),
        fan_out=math.prod(weight[axis] for axis in free_axes(eqn, i)),
        leading=rows[0] if rows else 1,
        dtype=eqn.outvars[0].aval.dtype,
    )


def _rowwise_site(eqn: JaxprEqn, i: int, copied: tuple[bool, ...]) -> Rowwise | None:
    operand, out = eqn.invars[i].aval.shape, eqn.outvars[0].aval.shape
    if operand == ():
        operand, copied = (1,) * len(out), (True,) * len(out)
    if not out or not (operand[0] == 1 or copied[0]):
        return None
    summed = tuple(axis for axis in range(1, len(out)) if copied[axis])
    return Rowwise(stack=(), operand=operand, leading=out[0], summed=summed, dtype=eqn.invars[i].aval.dtype)


def _stacked_site(eqn: JaxprEqn, i: int, copied: tuple[bool, ...]) -> Site | None:
    """The site in the body of a scan of a parameter that the scan slices, one slice per step."""
    if i < eqn.params["num_consts"] + eqn.params["num_carry"] or copied[0]:
        return None
    body = called(eqn).jaxpr
    site = _find(body, body.invars[i], copied[1:])
    return None if site is None else dataclasses.replace(site, stack=(eqn.params["length"], *site.stack))


def _follow_copies(eqn: JaxprEqn, copied: tuple[bool, ...]) -> tuple[bool, ...] | None:
    """Which axes of a rearranged variable are copies of the parameter."""
    before, after = eqn.invars[0].aval.shape, eqn.outvars[0].aval.shape
    if eqn.primitive is prim.broadcast_in_dim_p:
        source: dict[int, int] = {axis: k for k, axis in enumerate(eqn.params["broadcast_dimensions"])}
        return tuple(
            size > 1 and (axis not in source or copied[source[axis]] or before[source[axis]] == 1)
            for axis, size in enumerate(after)
        )
    if eqn.primitive is prim.transpose_p:
        return tuple(copied[axis] for axis in eqn.params["permutation"])
    return None if any(copied) else (False,) * len(after)
