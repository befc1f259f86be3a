"""What is true of some axes of a variable, followed through the rearrangements of a jaxpr."""

import math
from typing import Any, NamedTuple

from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as prim

REARRANGEMENTS = frozenset({prim.transpose_p, prim.reshape_p, prim.squeeze_p, prim.rev_p, prim.broadcast_in_dim_p})
Flags = tuple[bool, ...]


class Axes(NamedTuple):
    """Along which axes of a variable there are copies of a parameter, and over which its mean was subtracted."""

    copied: Flags
    centred: Flags


class Centring(NamedTuple):
    """The subtraction that ends W - mean(W), and the axes of the mean."""

    subtraction: JaxprEqn
    axes: tuple[int, ...]


def shape_of(atom: Any) -> tuple[int, ...]:
    """Shape of a variable or literal."""
    return atom.aval.shape


def readers(jaxpr: Jaxpr, var: Any) -> list[tuple[JaxprEqn, int]]:
    """The operations that read a variable, with the operand's place."""
    return [(eqn, i) for eqn in jaxpr.eqns for i, atom in enumerate(eqn.invars) if atom is var]


def is_output(jaxpr: Jaxpr, var: Var) -> bool:
    """Whether a jaxpr returns a variable."""
    return any(atom is var for atom in jaxpr.outvars)


def follow(eqn: JaxprEqn, axes: Axes) -> Axes | None:
    """The axes of a rearranged variable; None where they cannot be told apart."""
    copied, centred = _follow(eqn, axes.copied, new=True), _follow(eqn, axes.centred, new=False)
    return None if copied is None or centred is None else Axes(copied, centred)


def _follow(eqn: JaxprEqn, flags: Flags, new: bool) -> Flags | None:
    """The flags after a rearrangement, where an axis that a broadcast adds gets the flag `new`."""
    before, after = shape_of(eqn.invars[0]), shape_of(eqn.outvars[0])
    if eqn.primitive is prim.broadcast_in_dim_p:
        source: dict[int, int] = {axis: k for k, axis in enumerate(eqn.params["broadcast_dimensions"])}
        added = [axis not in source or before[source[axis]] == 1 for axis in range(len(after))]
        return tuple(size > 1 and (new if added[axis] else flags[source[axis]]) for axis, size in enumerate(after))
    if eqn.primitive is prim.transpose_p:
        return tuple(flags[axis] for axis in eqn.params["permutation"])
    return flags if eqn.primitive is prim.rev_p else _through_reshape(before, after, flags)


def _through_reshape(before: tuple[int, ...], after: tuple[int, ...], flags: Flags) -> Flags | None:
    """Axes that are split or joined pass their flag on if they agree on it."""
    out = [False] * len(after)
    old = [axis for axis, size in enumerate(before) if size > 1]
    new = [axis for axis, size in enumerate(after) if size > 1]
    while old:
        left, right = [old.pop(0)], [new.pop(0)]
        while (difference := math.prod(before[a] for a in left) - math.prod(after[a] for a in right)) != 0:
            (right if difference > 0 else left).append((new if difference > 0 else old).pop(0))
        flag = flags[left[0]]
        if any(flags[axis] != flag for axis in left):
            return None
        for axis in right:
            out[axis] = flag
    return tuple(out)


def centring(jaxpr: Jaxpr, var: Any) -> Centring | None:
    """The subtraction W - mean(W) in which alone a variable W is used, if there is one."""
    found = readers(jaxpr, var)
    sums = [eqn for eqn, _ in found if eqn.primitive is prim.reduce_sum_p]
    subtractions = [eqn for eqn, i in found if eqn.primitive is prim.sub_p and i == 0]
    if len(found) != 2 or len(sums) != 1 or len(subtractions) != 1 or is_output(jaxpr, var):
        return None
    axes = tuple(int(axis) for axis in sums[0].params["axes"])
    shape = shape_of(var)
    subtracted = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    count = math.prod(shape[axis] for axis in axes)
    if count == 1 or shape_of(subtractions[0].invars[1]) not in (subtracted, shape):
        return None
    factor = _factor_on_the_way(jaxpr, sums[0], subtractions[0], subtracted)
    is_mean = factor is not None and math.isclose(factor * count, 1, rel_tol=1e-6)  # factors may be rounded to float32
    return Centring(subtractions[0], axes) if is_mean else None


def _factor_on_the_way(jaxpr: Jaxpr, start: JaxprEqn, end: JaxprEqn, subtracted: tuple[int, ...]) -> float | None:
    """What a sum is multiplied by until it is subtracted as an array of the given shape; None where more happens to it."""
    factor, var, aligned = 1.0, start.outvars[0], False
    while True:
        found = readers(jaxpr, var)
        if len(found) != 1 or is_output(jaxpr, var):
            return None
        [(eqn, i)] = found
        aligned = aligned or shape_of(var) == subtracted
        if eqn is end:
            return factor if aligned else None
        if eqn.primitive in (prim.mul_p, prim.div_p) and isinstance(number := eqn.invars[1 - i], Literal):
            if shape_of(number) != () or (eqn.primitive is prim.div_p and i == 1):
                return None
            factor = factor * float(number.val) if eqn.primitive is prim.mul_p else factor / float(number.val)
        elif not _repeats(eqn, aligned):
            return None
        var = eqn.outvars[0]


def _repeats(eqn: JaxprEqn, aligned: bool) -> bool:
    """Whether an operation only adds axes and copies, along axes that are there already where they are `aligned`."""
    if eqn.primitive is prim.broadcast_in_dim_p:
        return not aligned or eqn.params["broadcast_dimensions"] == tuple(range(len(shape_of(eqn.invars[0]))))
    before, after = ([size for size in shape_of(var) if size > 1] for var in (eqn.invars[0], eqn.outvars[0]))
    return eqn.primitive is prim.reshape_p and not aligned and before == after
