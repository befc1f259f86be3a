"""Saved residuals: programs counted by hand, BatchNorm's fused form against the plain one, networks counted from their shapes."""

import jax
import jax.numpy as jnp
import numpy as np

from ntkcheck.reference import residuals
from ntkcheck.reference.case import Case
from ntkcheck.reference.fused import FusedBatchNorm, with_fused_batch_norm
from ntkcheck.reference.residuals import saved_bytes
from ntkcheck.reference.watched import norms
from tests.models.small import images, small

X = jax.ShapeDtypeStruct((6, 4), jnp.float32)
W = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((4, 5), (5, 3))]
HIDDEN = 4 * 6 * 5  # bytes


def logits(model, x):
    return model(x)


def counts(case):
    return {m.quantity: m.estimate.value for m in residuals.measure(jax.random.key(0), **case._asdict())}


def test_a_linear_map_keeps_neither_its_input_nor_its_parameters():
    assert saved_bytes(lambda w, x: x @ w[0], W, X) == 0


def test_two_dense_layers_keep_what_is_between_them():
    assert saved_bytes(lambda w, x: (x @ w[0]) @ w[1], W, X) == HIDDEN


def test_a_relu_keeps_a_mask_or_shares_its_output_with_the_next_layer():
    def network(w, x):
        return jax.nn.relu(x @ w[0]) @ w[1]

    assert saved_bytes(network, W, X) == HIDDEN + 6 * 5
    assert saved_bytes(network, W, X, masks_as_outputs=True) == HIDDEN


def test_a_relu_whose_output_nothing_else_keeps_is_counted_by_its_output():
    def network(w, x):
        return jax.nn.relu(x @ w[0])

    assert saved_bytes(network, W, X) == 6 * 5
    assert saved_bytes(network, W, X, masks_as_outputs=True) == HIDDEN


def test_a_buffer_that_two_layers_keep_is_counted_once_and_views_not_at_all():
    def network(w, x):
        h = x @ w[0]
        return h @ w[1] + h.reshape(3, 10).reshape(6, 5) @ w[1]

    assert saved_bytes(network, W, X) == HIDDEN


def test_fused_batch_norm_is_batch_norm_and_so_is_its_gradient():
    plain = small("vgg", "batch_norm", dtype=jnp.float64)
    fused = with_fused_batch_norm(plain)
    assert sum(isinstance(n, FusedBatchNorm) for n in jax.tree.leaves(fused, is_leaf=is_fused)) == len(norms(plain)) - 1
    x = images("vgg", dtype=jnp.float64)
    target = jax.random.normal(jax.random.key(3), (len(x), 3))

    def loss(model):
        return jnp.sum((model(x) - target) ** 2)

    value, gradient = jax.jit(jax.value_and_grad(loss))(plain)
    fused_value, fused_gradient = jax.jit(jax.value_and_grad(loss))(fused)
    assert abs(value - fused_value) <= 1e-11 * value
    ours = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(gradient)])
    theirs = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(fused_gradient)])
    # Rounding of 1e-16, amplified by the condition of a few normalised layers on 4 samples.
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-9 * np.abs(ours).max())


def is_fused(node):
    return isinstance(node, FusedBatchNorm)


def test_vgg_keeps_inputs_of_layers_and_of_batch_norm_as_counted_from_shapes():
    """BatchNorm its input; ReLU its output; pooling its input, which is ReLU's output; convolutions and dense layers theirs."""
    model, x = small("vgg", "batch_norm"), images("vgg", batch=5)
    shapes = jax.eval_shape(lambda x: model.features(x), x)
    maps = [shape.size for name, shape in shapes.items() if name != "logits"]
    pooled = [5 * (32 // 2**stage) ** 2 * channels for stage, channels in ((1, 8), (2, 8))]
    dense = 2 * 5 * 12
    statistics = 2 * sum(shape.shape[-1] for name, shape in shapes.items() if name != "logits")
    expected = 4 * (2 * sum(maps) + sum(pooled) + dense + statistics)
    assert saved_bytes(logits, with_fused_batch_norm(model), x, masks_as_outputs=True) == expected
    # Power: a normaliser written out in elementary operations keeps more than one array for each that the fused one keeps.
    assert saved_bytes(logits, model, x) > expected + 4 * sum(maps)


def test_vgg_without_normaliser_keeps_no_inputs_of_normalisers():
    model, x = small("vgg", "none"), images("vgg", batch=5)
    shapes = jax.eval_shape(lambda x: model.features(x), x)
    maps = [shape.size for name, shape in shapes.items() if name != "logits"]
    pooled = [5 * (32 // 2**stage) ** 2 * channels for stage, channels in ((1, 8), (2, 8))]
    assert saved_bytes(logits, model, x, masks_as_outputs=True) == 4 * (sum(maps) + sum(pooled) + 2 * 5 * 12)


def test_bytes_grow_linearly_with_the_batch():
    one, two, three = (counts(Case("vgg11", "mimic_norm", "cifar", 32, 64 * n, 10)) for n in (1, 2, 3))
    for account in ("saved_by_fused_layers", "saved_as_differentiated"):
        assert three[account] - two[account] == two[account] - one[account] > 0
    assert one["parameter_bytes"] == three["parameter_bytes"]


def test_full_size_resnet_18_saves_less_under_mimic_norm_and_most_as_differentiated():
    case = Case("resnet18", "batch_norm", "imagenet", 224, 256, 1000)
    batch_norm, mimic_norm = counts(case), counts(case._replace(normalizer="mimic_norm"))
    assert batch_norm["parameter_bytes"] == 4 * 11_689_512
    assert mimic_norm["saved_by_fused_layers"] < batch_norm["saved_by_fused_layers"]
    assert batch_norm["saved_by_fused_layers"] < batch_norm["saved_as_differentiated"]
    # Every BatchNorm keeps its input at least: 2,483,712 values an image, as many as the convolutions put out.
    shapes = jax.eval_shape(logits_features, case.shapes(), case.images())
    maps = sum(shape.size for name, shape in shapes.items() if name != "logits")
    assert maps == 256 * 2_483_712
    assert batch_norm["saved_by_fused_layers"] > 4 * maps


def logits_features(model, x):
    return model.features(x)


def test_what_is_not_batch_norm_is_left_as_it_is():
    model = small("vgg", "layer_norm")
    assert not any(map(is_fused, jax.tree.leaves(with_fused_batch_norm(model), is_leaf=is_fused)))
