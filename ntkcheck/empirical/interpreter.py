"""Evaluation of a jaxpr, one operation at a time, with some operations replaced."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal, Var

Rule = Callable[[JaxprEqn, list[Any]], list[Any]]


def interpret(closed: ClosedJaxpr, args: list[Any], rule: Rule) -> list[Any]:
    """Outputs of a jaxpr where `rule(operation, operands)` says what each operation gives."""
    jaxpr = closed.jaxpr
    env: dict[Var, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *args], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else env[atom]

    for eqn in jaxpr.eqns:
        outs = rule(eqn, [read(atom) for atom in eqn.invars])
        env.update(zip(eqn.outvars, outs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def bind(eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    """The operation as it was, its custom derivatives included."""
    with eqn.ctx.manager:
        outs = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return outs if eqn.primitive.multiple_results else [outs]


def called(eqn: JaxprEqn) -> ClosedJaxpr:
    """The jaxpr that a call, a rematerialised block or a scan runs."""
    body = eqn.params["call_jaxpr"] if "call_jaxpr" in eqn.params else eqn.params["jaxpr"]
    return body if isinstance(body, ClosedJaxpr) else ClosedJaxpr(body, ())


def scan_operands(eqn: JaxprEqn) -> tuple[int, int]:
    """Where a scan's carry starts among its operands, and where what it slices does: constants come before both.

    Read off the shapes, because the names of a scan's parameters differ between versions of JAX: an operand that is sliced, and a
    result that is stacked, has one axis more than in the body.
    """
    body = called(eqn).jaxpr
    sliced = _unchanged(eqn.invars, body.invars)
    return sliced - _unchanged(eqn.outvars, body.outvars), sliced


def _unchanged(outer: list[Any], inner: list[Any]) -> int:
    return sum(len(a.aval.shape) == len(b.aval.shape) for a, b in zip(outer, inner, strict=True))


def rescan(
    eqn: JaxprEqn, values: list[Any], extra: Any, body: Callable[[list[Any], Any], tuple[list[Any], Any]]
) -> Any:
    """A scan with another body, `body(operands, slice of extra) -> (results, more results)`; gives both, the latter stacked."""
    constants, sliced = scan_operands(eqn)

    def step(carry: list[Any], slices: tuple[list[Any], Any]) -> tuple[list[Any], Any]:
        outs, more = body([*values[:constants], *carry, *slices[0]], slices[1])
        return outs[: len(carry)], (outs[len(carry) :], more)

    options = {name: eqn.params[name] for name in ("length", "reverse", "unroll")}
    carry, (outs, more) = jax.lax.scan(step, values[constants:sliced], (values[sliced:], extra), **options)
    return [*carry, *outs], more
