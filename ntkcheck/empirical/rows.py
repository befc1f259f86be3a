"""Rows of the kernel of a network whose samples may depend on each other: a pullback for each sample and output.

A row is what one output of one sample leaves at every parameter: its gradient, or its derivatives at a weight's product where
these and the Gram matrix of the activations serve as well. The kernel is made of products of rows. Rows are pulled back in chunks;
a block of chunks is held, met with itself and with all chunks after it, which are pulled back and forgotten. With n blocks that
takes (n + 1) / 2 times the pullbacks of one block that holds all. Several devices each pull back their part of a chunk, hold their
part of a block, and are shown all of a chunk.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int

from ntkcheck.empirical.contraction import Contraction, coupled_contraction, gradient_contraction, gram_saves
from ntkcheck.empirical.linearization import Linearization, Traced, linearize
from ntkcheck.empirical.sites import Dense

AXIS = "rows"


class Split(NamedTuple):
    """How the rows are taken: `chunk` at a time on each device, and `chunks` of those held."""

    chunk: int
    chunks: int


class Place(NamedTuple):
    """One device among several."""

    devices: int
    number: Int[Array, ""] | int

    def gather(self, x: Array, axis: int) -> Array:
        """Everybody's x, one after the other."""
        return x if self.devices == 1 else jax.lax.all_gather(x, AXIS, axis=axis, tiled=True)


def coupled_kernel(
    network: Traced, outputs: tuple[int, ...], split: Split, mesh: Mesh | None
) -> tuple[Float[Array, "batch batch"], Array]:
    """The kernel traced over the given outputs, and all outputs of the network."""
    devices = 1 if mesh is None else mesh.size

    def local(leaves: list[Array], x: Array) -> tuple[Array, Array]:
        rows = Rows.of(network._replace(leaves=leaves, x=x), len(outputs))
        place = Place(devices, 0 if mesh is None else jax.lax.axis_index(AXIS))
        return _stream(rows, jnp.array(outputs), split, place), rows.linear.outputs

    if mesh is not None:
        specs = PartitionSpec(), PartitionSpec()
        out_specs = PartitionSpec(None, AXIS), PartitionSpec()
        local = jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=out_specs, check_vma=False)
    kernel, values = local(network.leaves, network.x)
    return _whole(kernel, network.x.shape[0]), values


class Rows(NamedTuple):
    """A network opened for its rows."""

    linear: Linearization
    contractions: dict[int, Contraction]
    dtype: Any

    @classmethod
    def of(cls, network: Traced, outputs: int) -> "Rows":
        """Taps where the weight's gradient is not wanted or, for groups of channels, better done here."""
        B, _ = network.shape()
        sites = tapped_sites(network, outputs)
        linear = linearize(network, sites)
        tapped = {i: coupled_contraction(site, linear.activations[i], B, outputs) for i, site in sites.items()}
        return cls(linear, {i: tapped.get(i) or gradient_contraction() for i in network.sites}, network.dtype())

    def at(self, samples: Int[Array, " rows"], output: Int[Array, ""]) -> dict[int, Array]:
        """What is kept of some rows; nothing but zeros where there is no such sample."""
        B, C = self.linear.outputs.shape
        basis = jax.nn.one_hot(samples, B)[:, :, None] * jax.nn.one_hot(output, C)
        at_taps, gradients = self.linear.pullbacks(basis.astype(self.linear.outputs.dtype))
        return {i: self.contractions[i].keep(delta) for i, delta in (at_taps | gradients).items()}

    def products(self, held: dict[int, Array], new: dict[int, Array], place: Place) -> Float[Array, "held new"]:
        """The share of all parameters in the products of held rows with everybody's new ones."""
        parts = (
            contraction.share(held[i], place.gather(new[i], contraction.axis))
            for i, contraction in self.contractions.items()
        )
        return sum(parts, start=jnp.zeros((), self.dtype))


def tapped_sites(network: Traced, outputs: int) -> dict[int, Dense]:
    """The weights whose products are tapped; all other parameters have their gradients from the pullback."""
    B, _ = network.shape()
    dense = {i: site for i, site in network.sites.items() if isinstance(site, Dense)}
    return {i: site for i, site in dense.items() if site.grouped or gram_saves(site, B, outputs)}


def _stream(
    rows: Rows, outputs: Int[Array, " outputs"], split: Split, place: Place
) -> Float[Array, "chunks rows batch"]:
    """This device's rows of the kernel, padded to whole blocks; right in its upper triangle."""
    B, _ = rows.linear.outputs.shape
    r, h, everybody = split.chunk, split.chunks, place.devices * split.chunk
    steps = -(-B // everybody)
    blocks = -(-steps // h)
    spare = int(blocks > 1)  # a place in the block for the chunks that are not held

    def chunk(s: Array | int, c: Array) -> dict[int, Array]:
        return rows.at((s * place.devices + place.number) * r + jnp.arange(r), c)

    def at_once(kernel: Array, c: Array) -> tuple[Array, None]:
        new = chunk(0, c)
        return kernel + rows.products(new, new, place), None

    def step(s: Array, state: tuple[dict[int, Array], Array], first: Array, c: Array) -> tuple[dict[int, Array], Array]:
        held, kernel = state
        new = chunk(s, c)
        start = jnp.minimum(s - first, h) * r
        held = {i: _put(held[i], new[i], start, rows.contractions[i].axis) for i in new}
        part = rows.products(held, new, place).reshape(h + spare, r, everybody)[:h]
        corner = first, 0, s * everybody
        return held, jax.lax.dynamic_update_slice(
            kernel, jax.lax.dynamic_slice(kernel, corner, part.shape) + part, corner
        )

    def block(b: Array, state: tuple[dict[int, Array], Array], c: Array) -> tuple[dict[int, Array], Array]:
        return jax.lax.fori_loop(b * h, steps, lambda s, state: step(s, state, b * h, c), state)

    def blockwise(state: Any, c: Array) -> tuple[Any, None]:
        return jax.lax.fori_loop(0, blocks, lambda b, state: block(b, state, c), state), None

    if steps == 1:
        return jax.lax.scan(at_once, jnp.zeros((r, everybody), rows.dtype), outputs)[0][None]
    shapes = jax.eval_shape(chunk, 0, outputs[0])
    held = {i: _room(kept, (h + spare) * r, rows.contractions[i].axis) for i, kept in shapes.items()}
    kernel = jnp.zeros((blocks * h, r, blocks * h * everybody), rows.dtype)
    return jax.lax.scan(blockwise, (held, kernel), outputs)[0][1]


def _room(kept: jax.ShapeDtypeStruct, rows: int, axis: int) -> Array:
    return jnp.zeros((*kept.shape[:axis], rows, *kept.shape[axis + 1 :]), kept.dtype)


def _put(held: Array, new: Array, start: Array, axis: int) -> Array:
    return jax.lax.dynamic_update_slice_in_dim(held, new, start, axis)


def _whole(chunks: Float[Array, "chunks rows batch"], batch: int) -> Float[Array, "batch batch"]:
    """The kernel of all rows, its lower triangle the mirror image of the upper."""
    upper = chunks.reshape(-1, chunks.shape[-1])[:batch, :batch]
    return jnp.triu(upper) + jnp.triu(upper, 1).T
