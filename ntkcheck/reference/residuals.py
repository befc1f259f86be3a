"""Bytes that the backward pass keeps of the forward pass, by shape evaluation: nothing is computed or compiled.

The closure of `jax.vjp` is a pytree of what the backward pass needs. Traced, its leaves are variables of a program: those that are
the same variable are one buffer, those that are arguments are not counted, and neither are constants. Both accounts leave out what
needs no memory of its own: a reshaped or broadcast array is its source.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jaxtyping import Array

from ntkcheck.measurement import Measurement
from ntkcheck.models import Model
from ntkcheck.reference.case import Case
from ntkcheck.reference.fused import with_fused_batch_norm
from ntkcheck.stats import Estimate

VIEWS = ("reshape", "broadcast_in_dim", "squeeze", "expand_dims")


def measure(_: Array, **case: Any) -> list[Measurement]:
    """Bytes saved for the backward pass of the logits in the parameters, by two accounts, and bytes of the parameters.

    saved_as_differentiated: what automatic differentiation of this program keeps, with BatchNorm written out in elementary
    operations, and a mask of its own for every ReLU.
    saved_by_fused_layers: what layers keep whose backward pass is written by hand, as in PyTorch: BatchNorm its input and
    statistics, ReLU its output (which the next layer's input most often is), convolutions, dense layers and scalars their input.

    Parameters, images and constants are in neither; weights that were centred on their way into a convolution are in both, and so
    are normalisers other than BatchNorm, as differentiated.

    Source: claim MN-10.

    Args:
        _: Nothing is random.
        case: The fields of `Case`.
    """
    size = Case(**case)
    model = size.shapes()
    method = f"shape evaluation at batch {size.batch}; parameters, images and constants not counted"
    found = {
        "saved_as_differentiated": saved_bytes(_logits, model, size.images()),
        "saved_by_fused_layers": saved_bytes(
            _logits, with_fused_batch_norm(model), size.images(), masks_as_outputs=True
        ),
        "parameter_bytes": sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(model)),
    }
    return [Measurement(name, Estimate(float(value), 0.0, 0), method) for name, value in found.items()]


def _logits(model: Model, x: Array) -> Array:
    return model(x)


def saved_bytes(function: Callable[[Any, Any], Array], params: Any, x: Any, masks_as_outputs: bool = False) -> int:
    """Bytes of the residuals of a function's derivative in its first argument.

    Args:
        function: Of parameters and inputs.
        params: A pytree of arrays or shapes.
        x: The same for the inputs.
        masks_as_outputs: Whether a mask x > 0 stands for the output of the ReLU of x, which tells as much.
    """

    def residuals(params: Any, x: Any) -> list[Array]:
        return jax.tree.leaves(jax.vjp(lambda params: function(params, x), params)[1])

    program = jax.make_jaxpr(residuals)(params, x).jaxpr
    sources = dict(_views(program))
    if masks_as_outputs:
        sources |= _masks(program)
    arguments = set(program.invars)
    saved = {_source(variable, sources) for variable in program.outvars if not _is_constant(variable)}
    return sum(_bytes(variable) for variable in saved if variable is not None and variable not in arguments)


def _views(program: Any) -> Iterator[tuple[Any, Any]]:
    """Each view with what it is a view of; None where that is a constant."""
    for equation in program.eqns:
        if equation.primitive.name in VIEWS:
            source = equation.invars[0]
            yield equation.outvars[0], None if _is_constant(source) else source


def _masks(program: Any) -> dict[Any, Any]:
    """Each mask x > 0 with the ReLU of x."""
    with_input = [equation for equation in program.eqns if equation.invars and not _is_constant(equation.invars[0])]
    outputs = {e.invars[0]: e.outvars[0] for e in with_input if e.primitive.name == "custom_jvp_call"}
    masks = (e for e in with_input if e.primitive.name == "gt" and e.invars[0] in outputs)
    return {mask.outvars[0]: outputs[mask.invars[0]] for mask in masks}


def _source(variable: Any, sources: dict[Any, Any]) -> Any:
    while variable in sources:
        variable = sources[variable]
    return variable


def _is_constant(variable: Any) -> bool:
    return hasattr(variable, "val")


def _bytes(variable: Any) -> int:
    return math.prod(variable.aval.shape) * variable.aval.dtype.itemsize
