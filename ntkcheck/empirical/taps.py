"""Zero-valued taps in a network: the transformation of its jaxpr behind the empirical NTK.

The transformed network adds a tap to every product y = a W of a chosen weight and records a; the derivative of an output in the
tap is its derivative in y. Where no chosen parameter goes in, every operation is bound as it was, custom derivatives included.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as prim

from ntkcheck.empirical.sites import CALLS, ELEMENTWISE, called, free_axes, is_scaling

Activations = dict[int, jax.Array]


class Mark(NamedTuple):
    """A chosen parameter on its way to its use."""

    leaf: int
    tap: jax.Array
    scale: Any  # what the parameter has been multiplied by on the way


def evaluate(network: ClosedJaxpr, args: list, taps: dict[int, jax.Array]) -> tuple[list, Activations]:
    """Outputs with a tap where each argument in `taps` is used, and the activations it meets there."""
    marks = {network.jaxpr.invars[i]: Mark(i, tap, 1.0) for i, tap in taps.items()}
    return _interpret(network, args, marks)


def _interpret(closed: ClosedJaxpr, args: list, marks: dict[Var, Mark]) -> tuple[list, Activations]:
    jaxpr = closed.jaxpr
    env: dict[Var, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *args], strict=True))
    marks, activations = dict(marks), {}

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else env[atom]

    for eqn in jaxpr.eqns:
        values = [read(atom) for atom in eqn.invars]
        here = {i: marks[atom] for i, atom in enumerate(eqn.invars) if isinstance(atom, Var) and atom in marks}
        if _passes_on(eqn, here):
            marks[eqn.outvars[0]] = _rescaled(eqn, values, here)
            here = {}
        outs, recorded = _apply(eqn, values, here)
        env.update(zip(eqn.outvars, outs, strict=True))
        activations |= recorded
    return [read(atom) for atom in jaxpr.outvars], activations


def _passes_on(eqn: JaxprEqn, here: dict[int, Mark]) -> bool:
    """Whether the parameter is only rearranged or scaled, its use still to come."""
    return any(is_scaling(eqn, i) or not _has_rule(eqn) for i in here)


def _has_rule(eqn: JaxprEqn) -> bool:
    return eqn.primitive in CALLS | ELEMENTWISE | {prim.dot_general_p, prim.scan_p}


def _rescaled(eqn: JaxprEqn, values: list, here: dict[int, Mark]) -> Mark:
    [(i, mark)] = here.items()
    if not is_scaling(eqn, i):
        return mark
    factor = values[1 - i] if eqn.primitive is prim.mul_p else 1 / values[1 - i]
    return mark._replace(scale=mark.scale * factor)


def _apply(eqn: JaxprEqn, values: list, here: dict[int, Mark]) -> tuple[list, Activations]:
    if not here:
        return _bind(eqn, values), {}
    if eqn.primitive is prim.dot_general_p:
        return _tapped_product(eqn, values, here)
    if eqn.primitive in ELEMENTWISE:
        return _tapped_elementwise(eqn, values, here), {}
    return (_tapped_scan if eqn.primitive is prim.scan_p else _tapped_call)(eqn, values, here)


def _bind(eqn: JaxprEqn, values: list) -> list:
    """The operation as it was."""
    inputs = {atom: value for atom, value in zip(eqn.invars, values, strict=True) if isinstance(atom, Var)}
    alone = Jaxpr((), list(inputs), eqn.outvars, [eqn], eqn.effects)
    return jax.core.eval_jaxpr(alone, (), *inputs.values())


def _tapped_product(eqn: JaxprEqn, values: list, here: dict[int, Mark]) -> tuple[list, Activations]:
    """y = a W + tap, with a as (positions, fan_in) and the tap as (positions, fan_out)."""
    [y] = _bind(eqn, values)
    activations = {}
    for i, mark in here.items():
        free, contracted = free_axes(eqn, 1 - i), eqn.params["dimension_numbers"][0][1 - i]
        positions, fan_out = mark.tap.shape
        activations[mark.leaf] = mark.scale * values[1 - i].transpose(*free, *contracted).reshape(positions, -1)
        y = y + (mark.tap if i == 1 else mark.tap.T).reshape(y.shape)
    return [y], activations


def _tapped_elementwise(eqn: JaxprEqn, values: list, here: dict[int, Mark]) -> list:
    shape = eqn.outvars[0].aval.shape
    tapped = [value + here[i].scale * here[i].tap if i in here else value for i, value in enumerate(values)]
    return _OPERATIONS[eqn.primitive](*(jnp.broadcast_to(value, shape) for value in tapped))


_OPERATIONS = {prim.add_p: jax.lax.add, prim.sub_p: jax.lax.sub, prim.mul_p: jax.lax.mul, prim.div_p: jax.lax.div}


def _tapped_call(eqn: JaxprEqn, values: list, here: dict[int, Mark]) -> tuple[list, Activations]:
    body = called(eqn)

    def inlined(values: list, taps: dict[int, jax.Array]) -> tuple[list, Activations]:
        marks = {body.jaxpr.invars[i]: mark._replace(tap=taps[i]) for i, mark in here.items()}
        return _interpret(body, values, marks)

    if eqn.primitive is prim.remat_p:
        inlined = jax.checkpoint(inlined, prevent_cse=eqn.params["prevent_cse"], policy=eqn.params["policy"])
    return inlined(values, {i: mark.tap for i, mark in here.items()})


def _tapped_scan(eqn: JaxprEqn, values: list, here: dict[int, Mark]) -> tuple[list, Activations]:
    """The scan with the taps as further inputs and the activations as further outputs of each step."""
    body, constants = called(eqn), eqn.params["num_consts"]
    sliced = constants + eqn.params["num_carry"]

    def step(carry: list, slices: tuple[list, dict[int, jax.Array]]) -> tuple[list, tuple[list, Activations]]:
        inputs, taps = slices
        marks = {body.jaxpr.invars[i]: mark._replace(tap=taps[i]) for i, mark in here.items()}
        args = [*values[:constants], *carry, *inputs]
        outs, activations = _interpret(body, args, marks)
        return outs[: len(carry)], (outs[len(carry) :], activations)

    options = {name: eqn.params[name] for name in ("length", "reverse", "unroll")}
    taps = {i: mark.tap for i, mark in here.items()}
    carry, (outs, activations) = jax.lax.scan(step, values[constants:sliced], (values[sliced:], taps), **options)
    return [*carry, *outs], activations
