"""The kernel of a network whose samples do not see each other: one pullback for each output serves them all."""

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, PyTree

from ntkcheck.empirical.contraction import rowwise_share, samplewise_share
from ntkcheck.empirical.linearization import Apply, Traced, linearize, trace
from ntkcheck.empirical.rows import AXIS
from ntkcheck.empirical.sites import Dense

Part = tuple[Float[Array, "batch batch"], Array]  # a kernel, and whether the outputs are finite


def samplewise_kernel(
    apply: Apply, params: PyTree, x: Array, outputs: tuple[int, ...], size: int, mesh: Mesh | None
) -> Part:
    """The kernel traced over the given outputs; from sub-batches of two groups of `size` samples, where that is not all."""

    def kernel(params: PyTree, x: Array) -> Part:
        return _kernel(trace(apply, params, x), outputs)

    if size >= x.shape[0] and (mesh is None or mesh.size == 1):
        return kernel(params, x)
    if mesh is None:
        return _by_pairs(lambda x: kernel(params, x), x, size, 1, 0)

    def local(params: PyTree, x: Array) -> Part:
        part, finite = _by_pairs(lambda x: kernel(params, x), x, size, mesh.size, jax.lax.axis_index(AXIS))
        return jax.lax.psum(part, AXIS), jax.lax.pmin(finite.astype(int), AXIS) > 0

    specs = PartitionSpec(), PartitionSpec()
    return jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=specs, check_vma=False)(params, x)


def _kernel(network: Traced, outputs: tuple[int, ...]) -> Part:
    """As many outputs at a time as there are samples."""
    B, C = network.shape()
    sites = network.samplewise_sites()
    if sites is None:
        raise ValueError(
            f"`apply` must use its parameters on {B} samples as it does on all; if it does not, pass `batch_coupled=True`."
        )
    linear = linearize(network, sites)
    shares = {
        i: samplewise_share(site, linear.activations[i], B, len(outputs))
        if isinstance(site, Dense)
        else rowwise_share(site)
        for i, site in sites.items()
    }

    def add_outputs(kernel: Array, chunk: Array) -> tuple[Array, None]:
        basis = jax.nn.one_hot(chunk, C, dtype=linear.outputs.dtype)  # of an output beyond the last: zero
        derivatives, _ = linear.pullbacks(jnp.repeat(basis[:, None], B, axis=1))
        return sum((shares[i](delta) for i, delta in derivatives.items()), start=kernel), None

    size = min(B, len(outputs))
    chunks = jnp.array([*outputs, *[C] * (-len(outputs) % size)]).reshape(-1, size)
    kernel = jax.lax.scan(add_outputs, jnp.zeros((B, B), network.dtype()), chunks)[0]
    return kernel, jnp.isfinite(linear.outputs).all()


def _by_pairs(kernel: Callable[[Array], Part], x: Array, size: int, devices: int, device: Array | int) -> Part:
    """The device's part of the kernel: groups of samples meet in pairs, each time as a batch of two groups."""
    samples, weights = (jnp.asarray(table) for table in _pairs(x.shape[0], size, devices))
    B = x.shape[0]

    def of_samples(indices: Array) -> Part:
        return kernel(x[jnp.minimum(indices, B - 1)])

    def add_pair(t: Array, total: Part) -> Part:
        pair = t * devices + device
        part, finite = of_samples(samples[pair])
        weighted = part * jnp.kron(weights[pair].astype(part.dtype), jnp.ones((size, size), part.dtype))
        place = samples[pair][:, None], samples[pair][None, :]
        return total[0].at[place].add(weighted, mode="drop"), total[1] & finite

    zero = jnp.zeros((B, B), jax.eval_shape(of_samples, samples[0])[0].dtype)
    return jax.lax.fori_loop(0, samples.shape[0] // devices, add_pair, (zero, jnp.array(True)))


def _pairs(batch: int, size: int, devices: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples of each pair of groups, and which of its four blocks count: all blocks of the kernel count once.

    The groups are padded with samples beyond the batch, and the pairs, to a multiple of `devices`, with pairs that do not count.
    """
    groups = max(2, -(-batch // size))
    pairs = list(itertools.combinations(range(groups), 2))
    weights = [[[j == i + 1, True], [True, (i, j) == (groups - 2, groups - 1)]] for i, j in pairs]
    padding = -len(pairs) % devices
    samples = np.arange(groups * size).reshape(groups, size)[np.array(pairs)].reshape(len(pairs), -1)
    return np.pad(samples, ((0, padding), (0, 0))), np.pad(np.array(weights, float), ((0, padding), (0, 0), (0, 0)))
