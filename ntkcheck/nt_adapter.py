"""The one door to neural-tangents, whose last release (0.6.5) does not import on current JAX.

Three kinds of repair, none of which leaves a trace in the namespaces of `jax`:

1. While neural-tangents is being imported, the names that it takes from JAX and that JAX has removed are put back,
   and taken away again afterwards (`_removed_names`).
2. While it is being imported, an empty module stands in for `neural_tangents.experimental`, the only part that needs
   TensorFlow. Afterwards `neural_tangents.experimental` is absent; importing it by name asks for TensorFlow as before.
3. What its module `_src.empirical` calls at run time and JAX has removed or deprecated is replaced in that module, by
   today's public equivalents (`_repair_empirical`). The NTK-vector products need `jnp.size`; the rest serves structured
   derivatives and the automatic choice.

What the library gets wrong itself, and still does:

- It takes angles from sqrt(q1 q2 - k^2), which at k = q1 = q2 is the root of a rounding error instead of 0. The ReLU NTK's diagonal
  is low by a share of that per layer: at depth 50 by about 0.4% in float32 and 3e-7 in float64. Compare off-diagonals, or at
  1e-6.
- `vmap_axes=0` on a network with batch statistics returns zeros without an error: each sample is then a batch of one.
- `NtkImplementation.AUTO` prints the operation counts that it compares.
"""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import math
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from types import ModuleType, SimpleNamespace
from typing import Any

import jax
import jax.api_util
import jax.core
import jax.extend.core
import jax.extend.linear_util
import jax.interpreters.ad
import jax.numpy as jnp

_NAME = "neural_tangents"
_TRIED = "0.10.2, 0.11.2 and 0.12.0"
_LOCK = threading.Lock()


def load() -> ModuleType:
    """Returns the module `neural_tangents`, imported without TensorFlow, on JAX 0.10, 0.11 and 0.12.

    Repeated calls return the same module; concurrent calls wait for the first one.

    Returns:
        The module: `load().stax`, `load().predict`, `load().empirical_ntk_fn`, ... as in its documentation.

    Raises:
        ImportError: neural-tangents is not installed, or cannot be imported with the JAX that is.
    """
    with _LOCK:
        if _NAME not in sys.modules:
            _import_repaired()
        return sys.modules[_NAME]


def _import_repaired() -> None:
    if importlib.util.find_spec(_NAME) is None:
        raise ImportError("neural-tangents is not installed; `uv sync` installs it with the dev group.", name=_NAME)
    try:
        with warnings.catch_warnings(), _removed_names(), _stand_in_modules():
            warnings.simplefilter("ignore", DeprecationWarning)
            neural_tangents = importlib.import_module(_NAME)
        _repair_empirical(importlib.import_module(f"{_NAME}._src.empirical"))
    except Exception as error:
        _forget_partial_import()
        raise ImportError(
            f"neural-tangents {importlib.metadata.version('neural-tangents')} cannot be imported with JAX "
            f"{jax.__version__}: {error}. This adapter was tried with JAX {_TRIED}; install one of these.",
            name=_NAME,
        ) from error
    del neural_tangents.__dict__["experimental"]  # the stand-in


def _forget_partial_import() -> None:
    """Lets the next call meet the cause again, instead of half a package."""
    for name in [name for name in list(sys.modules) if name.split(".")[0] == _NAME]:
        del sys.modules[name]


@contextlib.contextmanager
def _removed_names() -> Iterator[None]:
    """Puts the names back that neural-tangents imports and JAX has removed.

    - `jax.core`: five classes, imported by `_src.empirical` and `_src.utils.rules`, mostly for annotations; they live
      in `jax.extend.core` now.
    - `jax.interpreters.ad.zeros_like_p`: a key of two rule tables in `_src.utils.rules`. JAX no longer has the
      primitive, so no equation carries it, and any hashable object will do.
    """
    moved = {name: getattr(jax.extend.core, name) for name in ("Jaxpr", "JaxprEqn", "Literal", "Primitive", "Var")}
    rule_key = {"zeros_like_p": object()}
    with _absent_set(jax.core.__dict__, moved), _absent_set(jax.interpreters.ad.__dict__, rule_key):
        yield


@contextlib.contextmanager
def _stand_in_modules() -> Iterator[None]:
    """Lets two modules be imported that cannot be.

    - `jax.util`: removed; `_src.empirical` takes `safe_map` and `safe_zip` from it (lists, of arguments equally long).
    - `neural_tangents.experimental`: imports TensorFlow, tf2jax and `jax.experimental.jax2tf` for one function.
    """
    util = ModuleType("jax.util")
    util.__dict__.update(
        safe_map=lambda function, *columns: [function(*row) for row in zip(*columns, strict=True)],
        safe_zip=lambda *columns: list(zip(*columns, strict=True)),
    )
    experimental = f"{_NAME}.experimental"
    with _absent_set(sys.modules, {"jax.util": util, experimental: ModuleType(experimental)}):
        yield


@contextlib.contextmanager
def _absent_set(namespace: MutableMapping[str, Any], values: Mapping[str, Any]) -> Iterator[None]:
    """Sets those `values` that `namespace` lacks, and removes them on leaving."""
    added = {name: value for name, value in values.items() if name not in namespace}
    namespace.update(added)
    try:
        yield
    finally:
        for name in added:
            del namespace[name]


def _repair_empirical(empirical: ModuleType) -> None:
    """Replaces what `neural_tangents._src.empirical` calls at run time, in that module only.

    - `jnp.size` of a shape, `jnp.dtype` of an array: deprecated, read from the attributes instead.
    - `core.DShapedArray`: removed with dynamic shapes; compared with a type, so None never matches.
    - `lu.wrap_init`: wants a `DebugInfo`.
    - `ad.linearize`: other arguments and results; here from `jax.linearize` and `jax.make_jaxpr`.
    - `ad.source_info_util`: no longer exported; it only labels operations in profiles.
    - `ad.config`: no longer exported; it only switches on a check, written for removed functions.
    - `_eqn_vjp_fn`: reads removed attributes of primitives and tables of transposes; here from `jax.linear_transpose`.
    - `_get_flops`: the cost analysis was a list of dictionaries and is a dictionary.
    """
    ad = _changed(
        jax.interpreters.ad,
        linearize=_linearize,
        source_info_util=SimpleNamespace(transform_name_stack=contextlib.nullcontext),
        config=SimpleNamespace(jax_enable_checks=False),
    )
    empirical.__dict__.update(
        jnp=_changed(jnp, size=lambda array: math.prod(array.shape), dtype=lambda array: array.dtype),
        core=_changed(jax.core, DShapedArray=None),
        lu=_changed(jax.extend.linear_util, wrap_init=_wrap_init),
        ad=ad,
        _eqn_vjp_fn=_equation_vjp,
        _get_flops=_operation_count,
    )


def _changed(module: ModuleType, **changes: Any) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(module), **changes})


def _wrap_init(function: Callable) -> jax.extend.linear_util.WrappedFun:
    debug_info = jax.api_util.debug_info("empirical_ntk", function, (None,), {})
    return jax.extend.linear_util.wrap_init(function, debug_info=debug_info)


def _linearize(function: jax.extend.linear_util.WrappedFun, *primals: jax.Array, has_aux: bool) -> tuple:
    """Outputs, one marker per output that it depends on the primals, the linear map as a jaxpr, its constants."""
    del has_aux  # always False there
    outputs, tangent_map = jax.linearize(function.call_wrapped, *primals)
    closed = jax.make_jaxpr(tangent_map)(*primals)
    return outputs, [SimpleNamespace(is_known=lambda: False)] * len(outputs), closed.jaxpr, closed.consts


def _equation_vjp(equation: jax.extend.core.JaxprEqn | None, cotangent: Any, *inputs: Any) -> list:
    """Cotangents of the undefined ones among `inputs`, in which the equation is linear; None for the others."""
    if equation is None:  # the identity
        return [cotangent]
    cotangents: list = [None] * len(inputs)
    if isinstance(cotangent, jax.interpreters.ad.Zero):
        return cotangents
    undefined = [i for i, value in enumerate(inputs) if jax.interpreters.ad.is_undefined_primal(value)]

    def linear(*values: jax.Array) -> jax.Array:
        filled = dict(enumerate(inputs)) | dict(zip(undefined, values, strict=True))
        return equation.primitive.bind(*filled.values(), **equation.params)

    shapes = [jax.ShapeDtypeStruct(inputs[i].aval.shape, inputs[i].aval.dtype) for i in undefined]
    for i, value in zip(undefined, jax.linear_transpose(linear, *shapes)(cotangent), strict=True):
        cotangents[i] = value
    return cotangents


def _operation_count(function: Callable, optimize: bool, *arguments: Any, **keywords: Any) -> float:
    lowered = jax.jit(function).lower(*arguments, **keywords)
    stage: Any = lowered.compile() if optimize else lowered
    return stage.cost_analysis()["flops"]
