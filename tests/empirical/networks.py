"""Small networks that hold parameters in every way that the empirical NTK has to recognise or to leave alone."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

BATCH, FEATURES = 6, 5


class Case(NamedTuple):
    """A network, the shapes of its parameters, and whether probing has to find its batch coupled.

    `general` is why a network without coupling takes the general route all the same: a parameter that is not recognised.
    """

    apply: Callable[[Any, jax.Array], jax.Array]
    shapes: Any
    coupled: bool = False
    general: bool = False
    inputs: tuple[int, ...] = (BATCH, FEATURES)


def values(case: Case, seed: int = 0, dtype: Any = np.float64) -> tuple[Any, jax.Array]:
    """Random parameters and inputs; drawn by NumPy, which compiles nothing."""
    rng = np.random.default_rng(seed)

    def draw(shape: tuple[int, ...]) -> jax.Array:
        return jnp.asarray(rng.standard_normal(shape), dtype)

    return jax.tree.map(draw, case.shapes, is_leaf=_is_shape), draw(case.inputs)


def _is_shape(node: Any) -> bool:
    return isinstance(node, tuple) and all(isinstance(size, int) for size in node)


def batch_norm(h):
    centred = h - h.mean(0, keepdims=True)
    return centred * lax.rsqrt((centred**2).mean(0, keepdims=True))


def mlp(p, x):
    h = jnp.tanh(x @ p["first"]["w"] / 5**0.5 + p["first"]["b"])
    h = jnp.tanh(h @ p["second"]["w"] + 0.3 * p["second"]["b"])
    return h @ p["readout"]


MLP = {"first": {"w": (5, 8), "b": (8,)}, "second": {"w": (8, 7), "b": (1, 7)}, "readout": (7, 1)}


def batch_norm_mlp(p, x):
    h = jnp.tanh(batch_norm(x @ p["first"]["w"]) + p["first"]["b"])
    h = jnp.tanh(batch_norm(h @ p["second"]["w"]) * p["second"]["b"])
    return h @ p["readout"]


def parametrised(p, x):
    h = jnp.tanh(x @ p[0] * 1.4 / 5**0.5)
    h = jnp.tanh(h @ (p[1] * jnp.sqrt(2.0) / jnp.sqrt(8.0)))
    return 0.5 * jnp.tanh(h @ (0.7 * p[2])) @ (p[3] / 7**0.5)


def batch_norm_scan(p, x):
    def layer(h, wb):
        return jax.nn.relu(batch_norm(h)) @ wb[0] * 1.4 / 8**0.5 + 0.1 * wb[1], None

    h, _ = lax.scan(layer, x @ p["first"], (p["hidden"], p["bias"]))
    return jnp.tanh(h) @ p["readout"]


def nested_scan(p, x):
    def block(h, layers):
        return lax.scan(lambda h, w: (jnp.tanh(h @ (w[0] * w[1].sum()).T), None), h, layers)[0], None

    scales = jnp.arange(1.0, 7.0).reshape(3, 2, 1) / 8
    return lax.scan(block, x, (p["layers"], scales), reverse=True)[0] @ p["readout"]


def weight_centred(p, x):
    h = jax.nn.relu(x @ (p[0] - p[0].mean(0)))
    return h @ (p[1] - p[1].mean(0, keepdims=True))


def shared(p, x):
    return jnp.tanh(jnp.tanh(x @ p[0]) @ p[0]) @ p[1]


def scan_constant(p, x):
    h, _ = lax.scan(lambda h, shift: (jnp.tanh(h @ p[0] + shift), None), x, jnp.arange(3.0))
    return h @ p[1]


def custom_derivatives(p, x):
    return jax.nn.gelu(jax.nn.silu(jax.nn.relu(x @ p[0]) @ p[1])) @ p[2]


@jax.custom_vjp
def clipped_dense(h, w):
    return h @ w


clipped_dense.defvjp(lambda h, w: (h @ w, (h, w)), lambda hw, d: (d @ hw[1].T, 0.3 * hw[0].T @ d))


def custom_rule_on_weights(p, x):
    return clipped_dense(jnp.tanh(x @ p[0]), p[1])


def remat(p, x):
    layer = jax.checkpoint(lambda h, w, b: jnp.tanh(batch_norm(h @ w) + b))
    return layer(layer(x, p[0], p[1]), p[2], p[3]) @ p[4]


def jitted_layers(p, x):
    layer = jax.jit(lambda h, wb: jnp.tanh(h @ wb[0] + wb[1]))
    return layer(layer(x, p[0]), p[1]) @ p[2]


def transposed(p, x):
    h = jnp.tanh(x @ p[0].T)
    h = jnp.tanh(jnp.einsum("of,bf->bo", p[1], h))
    h = jnp.tanh(jnp.dot(p[2].T, h.T).T)
    return h @ p[3].reshape(7, 2)


def per_sample(p, x):
    return jax.vmap(lambda x: p[2] @ jnp.tanh(p[0] @ x + p[1]))(x)


def layer_norm(p, x):
    h = x @ p[0]
    h = (h - h.mean(1, keepdims=True)) * lax.rsqrt(h.var(1, keepdims=True)) * p[1] - p[2][None]
    return jnp.tanh(h / p[3]) @ p[4]


def scalar_gain(p, x):
    return (2 * p["gain"][0] * p["gain"][1]) * jnp.tanh(x @ p["w"] - p["shift"])


def scaled_by_parameter(p, x):
    """The scalar meets a weight with as many rows as the batch has: not a row for each sample, though it looks like it."""
    return jnp.tanh(x @ p[0]) @ (p[1] * p[2])


def attention(p, x):
    q, k, v = (jnp.einsum("btf,fhk->bthk", x, p[name]) for name in "qkv")
    scores = jax.nn.softmax(jnp.einsum("bthk,bshk->bhts", q, k), axis=-1)
    mixed = jnp.einsum("bhts,bshk->bthk", scores, v)
    return (jnp.einsum("bthk,hko->bto", mixed, p["out"]) + p["bias"]).mean(1)


def positionwise(p, x):
    h = jnp.tanh(x @ p[0] + p[1])
    h = jnp.tanh(jnp.einsum("btf,ts->bsf", h, p[2]))
    return h.reshape(h.shape[0], -1) @ p[3]


def convolution(p, x):
    """VALID, three channels: SAME with one channel in float64 can crash XLA's CPU backend."""
    spec = ("NHWC", "HWIO", "NHWC")
    h = lax.conv_general_dilated(x, p[0], (2, 1), "VALID", rhs_dilation=(1, 2), dimension_numbers=spec)
    h = jnp.tanh(h + p[1])
    h = lax.conv_general_dilated(h, p[2], (1, 1), [(1, 0), (0, 2)], lhs_dilation=(2, 1), dimension_numbers=spec)
    return jnp.tanh(h).mean((1, 2)) @ p[3]


def channels_first_convolution(p, x):
    h = lax.conv(x, p[0], (1, 1), "VALID")
    mean = h.mean((0, 2, 3), keepdims=True)
    h = jnp.tanh((h - mean) / jnp.sqrt(((h - mean) ** 2).mean((0, 2, 3), keepdims=True)) * p[1][:, None, None])
    h = jnp.tanh(lax.conv(h, p[2], (1, 1), "VALID"))
    return h.reshape(h.shape[0], -1) @ p[3]


def grouped_convolution(p, x):
    h = lax.conv_general_dilated(x, p[0], (1, 1), "VALID", feature_group_count=3)
    return jnp.tanh(h).mean((2, 3)) @ p[1]


def branches(p, x):
    h = jnp.tanh(x @ p[0])
    h = lax.cond(h[0, 0] > 0, lambda w: h @ w, lambda w: h @ (2 * w), p[1])
    return jnp.concatenate([h, x @ p[2]], axis=1) @ p[3]


def frozen(p, x):
    return jnp.tanh(x @ lax.stop_gradient(p[0])) @ p[1]


def products_of_weights(p, x):
    return jnp.tanh(x @ (p[0] @ p[1])) @ p[2]


def unused_and_direct(p, x):
    return jnp.zeros((x.shape[0], 2)) + p["direct"] + x @ p["w"]


CASES = {
    "mlp": Case(mlp, MLP),
    "batch norm": Case(batch_norm_mlp, MLP, coupled=True),
    "NTK parametrisation": Case(parametrised, [(5, 8), (8, 8), (8, 7), (7, 2)]),
    "scan of layers with batch norm": Case(
        batch_norm_scan, {"first": (5, 8), "hidden": (4, 8, 8), "bias": (4, 8), "readout": (8, 2)}, coupled=True
    ),
    "scans in a scan": Case(nested_scan, {"layers": (3, 2, 5, 5), "readout": (5, 1)}),
    "centred weights": Case(weight_centred, [(5, 8), (8, 2)]),
    "weights used twice": Case(shared, [(5, 5), (5, 2)], general=True),
    "weights of all steps of a scan": Case(scan_constant, [(5, 5), (5, 2)], general=True),
    "custom derivatives": Case(custom_derivatives, [(5, 8), (8, 7), (7, 1)]),
    "a custom rule for weights": Case(custom_rule_on_weights, [(5, 8), (8, 2)], general=True),
    "remat": Case(remat, [(5, 8), (8,), (8, 7), (7,), (7, 1)], coupled=True),
    "jitted layers": Case(jitted_layers, [[(5, 8), (8,)], [(8, 7), (7,)], (7, 2)]),
    "transposed weights": Case(transposed, [(8, 5), (8, 8), (8, 7), (14,)]),
    "vmap over samples": Case(per_sample, [(8, 5), (8,), (2, 8)]),
    "layer norm": Case(layer_norm, [(5, 8), (8,), (8,), (8,), (8, 2)]),
    "scalars": Case(scalar_gain, {"gain": [(), ()], "w": (5, 3), "shift": ()}),
    "scalar on a weight": Case(scaled_by_parameter, [(5, 6), (), (6, 2)], general=True),
    "ten outputs": Case(mlp, MLP | {"readout": (7, 10)}),
    "attention": Case(
        attention, dict.fromkeys("qkv", (5, 2, 3)) | {"out": (2, 3, 4), "bias": (4,)}, inputs=(BATCH, 4, 5)
    ),
    "many positions": Case(positionwise, [(5, 3), (3,), (20, 2), (6, 2)], inputs=(BATCH, 20, 5)),
    "product of weights as wide as the batch": Case(products_of_weights, [(5, 6), (6, 6), (6, 2)], general=True),
    "convolution": Case(convolution, [(2, 2, 3, 4), (4,), (2, 2, 4, 5), (5, 2)], inputs=(BATCH, 5, 6, 3)),
    "convolution with batch norm": Case(
        channels_first_convolution, [(4, 3, 2, 2), (4,), (40, 4, 3, 3), (40, 2)], coupled=True, inputs=(BATCH, 3, 4, 4)
    ),
    "grouped convolution": Case(grouped_convolution, [(6, 1, 2, 2), (6, 2)], inputs=(BATCH, 3, 4, 4)),
    "branches": Case(branches, [(5, 8), (8, 3), (5, 2), (5, 2)], general=True),
    "stopped gradient": Case(frozen, [(5, 8), (8, 2)], general=True),
    "unused and direct": Case(unused_and_direct, {"direct": (2,), "w": (5, 2), "unused": (3,)}),
}


def joined(names: list[str]) -> Case:
    """The outputs of several networks side by side, one compilation for all; its kernel is the sum of theirs."""

    def apply(p, x):
        return jnp.concatenate([CASES[name].apply(p[name], x) for name in names], axis=1)

    shapes = {name: CASES[name].shapes for name in names}
    return Case(apply, shapes, any(CASES[name].coupled for name in names), any(CASES[name].general for name in names))


def _vector_networks(**flags: bool) -> list[str]:
    of_kind = {name: case._replace(apply=None, shapes=None) for name, case in CASES.items()}
    return [name for name, case in of_kind.items() if case == Case(None, None, **flags)]


GROUPS = {
    "all with samples apart": joined(_vector_networks()),
    "all with coupled samples": joined(_vector_networks(coupled=True)),
    "all with a parameter that is not recognised": joined(_vector_networks(general=True)),
} | {name: case for name, case in CASES.items() if len(case.inputs) > 2}
