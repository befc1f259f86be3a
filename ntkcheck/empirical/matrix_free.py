"""Spectrum and trace of the empirical NTK from its products with vectors, where the kernel itself is too large."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree
from matfree import decomp, stochtrace

from ntkcheck.compilation import compiled
from ntkcheck.empirical.linearization import Apply
from ntkcheck.stats import Estimate, mean_estimate


class RitzValues(NamedTuple):
    """Estimates of the largest eigenvalues, largest first.

    Attributes:
        values: Each is at most the eigenvalue of its rank.
        residuals: |Theta v - value v| for the unit vector v that belongs to it: some eigenvalue is within this distance.
    """

    values: Float[np.ndarray, " count"]
    residuals: Float[np.ndarray, " count"]


@compiled("apply", "output", "precision")
def ntk_vector_product(
    apply: Apply,
    params: PyTree[Float[Array, "..."]],
    x: Float[Array, "batch ..."],
    vector: Float[Array, " batch"],
    output: int | None = None,
    precision: str = "highest",
) -> Float[Array, " batch"]:
    """Product of the empirical NTK with a vector: a pullback and a pushforward for each output.

    (Theta v)_b = sum_c J_c J_c^T v, with J_c the Jacobian of output c of all samples in the parameters

    Args:
        apply: The network, `apply(params, x) -> (batch, outputs)`; its batch may be coupled.
        params: A pytree of floating arrays.
        x: The batch of inputs, along the first axis.
        vector: What to multiply.
        output: The only output c to be counted, from 0; None sums over all.
        precision: Of matrix products, see `jax.default_matmul_precision`.

    Returns:
        Theta v; the memory is that of a few forward passes, whatever the batch.
    """
    with jax.default_matmul_precision(precision):
        values, pull = jax.vjp(lambda params: apply(params, x), params)
        push = jax.linear_transpose(pull, values)  # the same Jacobian, also where a rule for the pullback was given

        def product(c: Array) -> Array:
            (pushed,) = push(pull(_on_output(values, c, vector)))
            return jnp.take(pushed, c, axis=1)

        return _sum_over(product, _outputs(values, output))


def largest_eigenvalues(
    key: Key[Array, ""],
    apply: Apply,
    params: PyTree[Float[Array, "..."]],
    x: Float[Array, "batch ..."],
    *,
    count: int = 1,
    steps: int = 16,
    output: int | None = None,
    precision: str = "highest",
) -> RitzValues:
    """Largest eigenvalues of the empirical NTK by the Lanczos iteration, with full reorthogonalisation.

    Source: Lanczos 1950, as implemented in matfree; the residuals are beta |s_k| (Parlett 1998, section 13.2).

    Args:
        key: Of the vector that starts the iteration.
        apply: The network, `apply(params, x) -> (batch, outputs)`; its batch may be coupled.
        params: A pytree of floating arrays.
        x: The batch of inputs, along the first axis.
        count: How many eigenvalues.
        steps: Products of the kernel with a vector, at most as many as samples, which gives the whole spectrum.
        output: The only output to be counted, from 0; None sums over all.
        precision: Of matrix products, see `jax.default_matmul_precision`.

    Returns:
        The eigenvalues and their errors, which fall geometrically with the number of steps.

    Raises:
        ValueError: For a `count` or `steps` below 1, more eigenvalues than steps, and values that are not finite.
    """
    steps = min(_positive("steps", steps), x.shape[0])
    if not 1 <= count <= steps:
        raise ValueError(
            f"`count` must be between 1 and the number of steps, {steps} for {x.shape[0]} samples, got {count}; raise `steps`."
        )
    T, beta = _tridiagonal(key, apply, params, x, steps, output, precision)
    T, beta = np.asarray(T, np.float64), float(beta)
    _check_finite(T)
    values, vectors = np.linalg.eigh(T)
    return RitzValues(values[::-1][:count], beta * np.abs(vectors[-1, ::-1][:count]))


def ntk_trace(
    key: Key[Array, ""],
    apply: Apply,
    params: PyTree[Float[Array, "..."]],
    x: Float[Array, "batch ..."],
    *,
    probes: int = 16,
    output: int | None = None,
    precision: str = "highest",
) -> Estimate:
    """Trace of the empirical NTK by random signs: the mean over z of |sum_b z_b J_b|^2 = z^T Theta z.

    Of one sign vector the variance is 2 sum_{b != b'} Theta[b, b']^2. The product z^T Theta z needs a pullback, no pushforward.

    Source: Hutchinson 1990; the sampler is matfree's.

    Args:
        key: Of the signs.
        apply: The network, `apply(params, x) -> (batch, outputs)`; its batch may be coupled.
        params: A pytree of floating arrays.
        x: The batch of inputs, along the first axis.
        probes: Sign vectors, at least 2; as many pullbacks per output.
        output: The only output to be counted, from 0; None sums over all.
        precision: Of matrix products, see `jax.default_matmul_precision`.

    Returns:
        The trace with the standard error of the mean over probes.

    Raises:
        ValueError: For fewer than 2 probes, and for values that are not finite.
    """
    if _positive("probes", probes) < 2:
        raise ValueError(f"`probes` must be at least 2, of which the standard error is made, got {probes}.")
    samples = np.asarray(_quadratic_forms(key, apply, params, x, probes, output, precision), np.float64)
    _check_finite(samples)
    return mean_estimate(samples)


@compiled("apply", "steps", "output", "precision")
def _tridiagonal(
    key: Array, apply: Apply, params: PyTree, x: Array, steps: int, output: int | None, precision: str
) -> tuple[Float[Array, "steps steps"], Float[Array, ""]]:
    """Lanczos' matrix, and the length of what is left of the next vector."""
    start = jax.random.normal(key, x.shape[:1], jax.eval_shape(apply, params, x).dtype)
    product = functools.partial(ntk_vector_product, apply, params, x, output=output, precision=precision)
    found = decomp.tridiag_sym(steps, custom_vjp=False)(product, start)
    return jnp.asarray(found.J_small), jnp.linalg.norm(found.residual)


@compiled("apply", "probes", "output", "precision")
def _quadratic_forms(
    key: Array, apply: Apply, params: PyTree, x: Array, probes: int, output: int | None, precision: str
) -> Float[Array, " probes"]:
    """z^T Theta z for random signs z, one after the other."""
    with jax.default_matmul_precision(precision):
        values, pull = jax.vjp(lambda params: apply(params, x), params)
        signs = stochtrace.sampler_signs(jnp.zeros(x.shape[:1], values.dtype), num=probes)(key)

        def form(z: Array) -> Array:
            def share(c: Array) -> Array:
                (gradient,) = pull(_on_output(values, c, z))
                return sum((jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(gradient)), start=jnp.zeros(()))

            return _sum_over(share, _outputs(values, output))

        return jax.lax.map(form, signs)


def _on_output(values: Float[Array, "batch outputs"], c: Array, vector: Float[Array, " batch"]) -> Array:
    return vector[:, None].astype(values.dtype) * jax.nn.one_hot(c, values.shape[1], dtype=values.dtype)


def _outputs(values: Float[Array, "batch outputs"], output: int | None) -> Array:
    C = values.shape[1]
    if output is not None and not 0 <= output < C:
        raise ValueError(f"`output` must be the index of one of {C} outputs, from 0 to {C - 1}, got {output}.")
    return jnp.arange(C) if output is None else jnp.array([output])


def _sum_over(function: Any, outputs: Array) -> Array:
    """The sum over outputs, one after the other."""
    zero = jax.eval_shape(function, outputs[0])
    return jax.lax.scan(lambda total, c: (total + function(c), None), jnp.zeros(zero.shape, zero.dtype), outputs)[0]


def _positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"`{name}` must be a whole number of at least 1, got {value!r}.")
    return int(value)


def _check_finite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ValueError(
            "`apply` must have finite derivatives at `params`, got NaN or infinity; a feature that is constant over the batch, or "
            "parameters that overflow, are the usual causes."
        )
