"""Compilation of kernels, with the faulty fusions of XLA's CPU backend left out.

XLA's CPU backend hands groups of operations to YNNPACK (in jaxlib 0.10.2, for one). In a product with a broadcast right-hand side
that is summed later, sum(E * (E @ broadcast(c))), such a group reads memory that nobody wrote; and nested sums, as in the
backward pass of BatchNorm, are computed anew for every element, a hundred times slower. The option below leaves YNNPACK only
single matrix products, which it does well. It cannot be set for a program inside the caller's own `jax.jit`, where
`XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT` in the environment does the same.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax.core import Tracer

P = ParamSpec("P")
T = TypeVar("T")

OPTIMIZATION = "xla_backend_optimization_level"
SINGLE_PRODUCTS: dict[str, Any] = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}


def is_traced(tree: Any) -> bool:
    """Whether we are inside somebody's transformation, where values cannot be looked at."""
    return any(isinstance(leaf, Tracer) for leaf in [*jax.tree.leaves(tree), jnp.zeros(())])


def compiled(*static: str, optimization: int | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Compile a function once for each set of static arguments and shapes, with the options where they can be set.

    Args:
        static: Names of arguments that are part of the program.
        optimization: XLA's optimisation level, below its own for programs that are compiled once and run a few times.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        inner = jax.jit(function, static_argnames=static)

        @functools.cache
        def outer() -> Callable[..., Any]:
            return jax.jit(function, static_argnames=static, compiler_options=known_options(optimization))

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            run = inner if is_traced((args, kwargs)) else outer()
            return run(*args, **kwargs)

        vars(call)["program"] = outer  # whose cache tells how often it was compiled
        return call

    return decorate


@functools.cache
def known_options(optimization: int | None = None) -> dict[str, Any]:
    """The options that this XLA knows."""
    options = SINGLE_PRODUCTS if optimization is None else SINGLE_PRODUCTS | {OPTIMIZATION: optimization}
    return {name: value for name, value in options.items() if _is_known(name, value)}


def _is_known(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0.0, compiler_options={name: value})()
    except jax.errors.JaxRuntimeError:
        return False
    return True
