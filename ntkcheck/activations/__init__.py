"""Activation functions with their dual activations: Gaussian expectations in closed form or by quadrature."""

import inspect

from ntkcheck import errors
from ntkcheck.activations.activation import Activation
from ntkcheck.activations.erf import erf
from ntkcheck.activations.gelu import gelu
from ntkcheck.activations.homogeneous import absolute, identity, leaky_relu, relu
from ntkcheck.activations.quadrature import from_function, truncation_error
from ntkcheck.activations.tanh import tanh

__all__ = ["Activation", "from_function", "get", "leaky_relu", "names", "truncation_error"]

_CONSTRUCTORS = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "abs": absolute,
    "identity": identity,
    "erf": erf,
    "tanh": tanh,
    "gelu": gelu,
}


def names() -> tuple[str, ...]:
    """The names that `get` knows."""
    return tuple(_CONSTRUCTORS)


def get(activation: str | Activation, **parameters: int | float) -> Activation:
    """The activation of the given name; an `Activation` is returned as it is.

    Args:
        activation: one of `names()`, or an `Activation` (for a function of your own: `from_function`).
        **parameters: `slope` for leaky_relu, `nodes` for tanh.

    Returns:
        The activation; the same object for the same arguments.

    Raises:
        ValueError: the name, or a parameter's name, is unknown.
    """
    if isinstance(activation, Activation):
        _require_known(parameters, activation.name, ())
        return activation
    if activation not in _CONSTRUCTORS:
        raise errors.unknown_name("activation", activation, _CONSTRUCTORS)
    constructor = _CONSTRUCTORS[activation]
    _require_known(parameters, activation, tuple(inspect.signature(constructor).parameters))
    return constructor(**parameters)


def _require_known(parameters: dict[str, int | float], name: str, known: tuple[str, ...]) -> None:
    unknown = [parameter for parameter in parameters if parameter not in known]
    if unknown and not known:
        raise ValueError(f"`{unknown[0]}` must be left out, got {parameters[unknown[0]]!r}: {name} has no parameters.")
    if unknown:
        raise errors.unknown_name(f"parameter of {name}", unknown[0], known)
