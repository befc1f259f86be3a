"""Whether a network lets one sample's output depend on another sample, found by probing its derivatives."""

import itertools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from ntkcheck.compilation import compiled
from ntkcheck.empirical.linearization import Apply, linearize, trace
from ntkcheck.empirical.sites import Site


@compiled("apply", "precision", "one_by_one")
def couples_batch(
    apply: Apply,
    params: PyTree[Float[Array, "..."]],
    x: Float[Array, "batch ..."],
    precision: str = "highest",
    one_by_one: bool = False,
) -> Bool[Array, ""]:
    """Whether an output of one sample depends on what the layers compute for another.

    Random combinations of the outputs of a subset of samples are pulled back to every layer. Where the batch is not coupled, the
    rows of all other samples are exactly zero. The subsets, about log2(batch) + 2 of them, are such that for any two samples one
    contains the first and not the second, so that a coupling shows with probability one.

    Args:
        apply: The network, `apply(params, x) -> (batch, outputs)`.
        params: A pytree of floating arrays.
        x: The batch of inputs, along the first axis.
        precision: Of matrix products, see `jax.default_matmul_precision`.
        one_by_one: Whether subsets are pulled back in turns, which takes the memory of one, rather than together.

    Returns:
        False where no sample reaches another at these parameters; True where one does, and where a parameter enters the network
        in a way that is not recognised.
    """
    with jax.default_matmul_precision(precision):
        network = trace(apply, params, x)
        sites = network.samplewise_sites()
        if sites is None:
            return jnp.array(True)
        linear = linearize(network, sites)
        subsets = _separating_subsets(x.shape[0])
        weights = jax.random.normal(jax.random.key(0), linear.outputs.shape, linear.outputs.dtype)

        def leaks(subsets: Bool[Array, "subsets batch"]) -> Bool[Array, ""]:
            derivatives, _ = linear.pullbacks(jnp.where(subsets[:, :, None], weights, 0))
            return jnp.stack([_reaches_others(sites[i], delta, subsets) for i, delta in derivatives.items()]).any()

        return jax.lax.map(leaks, subsets[:, None]).any() if one_by_one else leaks(subsets)


def _separating_subsets(batch: int) -> Bool[Array, "subsets batch"]:
    """The fewest subsets of which one contains b and not d, for all b and d: a sample is in half of them (Sperner 1928)."""
    count = next(n for n in itertools.count(1) if math.comb(n, n // 2) >= batch)
    members = list(itertools.islice(itertools.combinations(range(count), count // 2), batch))
    return jnp.array([[subset in of_sample for of_sample in members] for subset in range(count)])


def _reaches_others(site: Site, delta: Array, subsets: Bool[Array, "subsets batch"]) -> Bool[Array, ""]:
    """Whether a row of a sample outside the subset has a derivative that is not zero."""
    rows = delta.reshape(math.prod(site.stack), *subsets.shape, -1) != 0
    return jnp.any(rows.any((0, 3)) & ~subsets)
