"""Models as they are called: forward and backward passes, observation, precision, errors. 20 s."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck import models
from ntkcheck.compilation import compiled
from ntkcheck.empirical.linearization import trace
from ntkcheck.models.layers import Unit
from tests.models.small import BUILDERS, RESIDUAL, SIDES, images, small, units

KEY = jax.random.key(0)
CASES = [("resnet", normalizer) for normalizer in models.NORMALIZERS] + [
    (architecture, normalizer)
    for architecture in BUILDERS
    if architecture != "resnet"
    for normalizer in ("batch_norm", "mimic_norm")
]


@compiled(optimization=0)
def loss_and_gradient(model, x):
    return jax.value_and_grad(lambda model: jnp.mean((model(x) - jnp.eye(x.shape[0], 3)) ** 2))(model)


@pytest.mark.parametrize(("architecture", "normalizer"), CASES)
def test_a_forward_and_a_backward_pass_are_finite(architecture, normalizer):
    # 8 x 8 images at the last stage are 4 x 4: 64 samples for zca's groups of 16.
    loss, gradient = loss_and_gradient(small(architecture, normalizer), images(architecture, batch=8))
    leaves = jax.tree.leaves(gradient)
    assert np.isfinite(loss)
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    # Some gradient reaches every part; under Fixup at initialisation only the readout, whose weights are zero.
    moving = sum(bool(np.any(leaf)) for leaf in leaves)
    assert moving >= (2 if normalizer == "fixup" else len(leaves) // 2)


@pytest.mark.parametrize("normalizer", models.NORMALIZERS)
def test_samples_see_each_other_exactly_where_the_model_says_so(normalizer):
    model, x = small("resnet", normalizer), images("resnet", batch=8)
    if normalizer == "fixup":  # zero logits tell nothing
        model = jax.tree.map(lambda leaf: leaf + 0.1, model)
    before, after = (model(batch)[0] for batch in (x, x.at[-1].multiply(3.0)))
    assert model.couples_batch == bool(np.any(before != after))


@compiled(optimization=0)
def logits_of(model, x):
    return model(x)


@compiled(optimization=0)
def features_of(model, x):
    return model.features(x)


def test_observed_outputs_come_in_the_order_of_computation_under_jit():
    model, x = small("resnet", "batch_norm"), images("resnet")
    expected = ["stem.norm", "blocks.0.branch.0.norm", "blocks.0.branch.1.norm", "blocks.1.branch.0.norm"]
    expected += ["blocks.1.branch.1.norm", "blocks.1.shortcut.norm", "logits"]
    features = features_of(model, x)
    assert list(features) == expected
    # eps = 1e-5 takes that share of a variance of order 1; the smallest here is above 0.1.
    variances = [h.var((0, 1, 2)) for name, h in features.items() if name != "logits"]
    np.testing.assert_allclose(np.concatenate(variances), 1, atol=2e-4)
    np.testing.assert_allclose(features["logits"], logits_of(model, x), atol=1e-5)


def test_what_an_observer_returns_goes_on_through_the_network():
    model, x = small("resnet", "none"), images("resnet")

    def silence(name, h):
        return jnp.zeros_like(h) if name == "stem.norm" else h

    np.testing.assert_array_equal(model(x, observe=silence), 0)  # no image, and biases are zero
    assert np.any(model(x))


def test_precision_is_full_unless_asked_otherwise():
    model, x = small("resnet", "iter_norm"), images("resnet")

    def products(precision):
        gradient = jax.grad(lambda model: model(x, precision=precision).sum())
        lines = str(jax.make_jaxpr(gradient)(model)).split("precision=")[1:]
        return {line.split(maxsplit=1)[0].strip("(,") for line in lines}

    assert products("highest") == {"Precision.HIGHEST"}
    with jax.default_matmul_precision("bfloat16"):
        assert products("highest") == {"Precision.HIGHEST"}
        assert products(None) == {"Precision.DEFAULT"}


@pytest.mark.parametrize(
    ("architecture", "normalizer"), [("resnet", "batch_norm"), ("wide_resnet", "iter_norm"), ("vgg", "none")]
)
def test_the_empirical_ntk_recognises_every_parameter(architecture, normalizer):
    model = small(architecture, normalizer)
    sites = trace(lambda model, x: model(x), model, images(architecture)).sites
    assert len(sites) == len(jax.tree.leaves(model))
    assert all(site is not None for site in sites.values())


@pytest.mark.parametrize("architecture", ["shufflenet", "bottleneck"])
def test_float64_agrees_with_float32(architecture):
    single = small(architecture, "batch_norm")
    double = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), single)
    x = images(architecture)
    # Relative rounding 6e-8 of float32, times sqrt(terms) about 10, times about 20 layers: 1e-5; a wrong layer gives order 1.
    np.testing.assert_allclose(logits_of(single, x), logits_of(double, x.astype(jnp.float64)), atol=1e-4)


def test_models_of_one_key_are_the_same_and_all_weights_have_their_own():
    first, second, other = (small("squeezenet", "none", seed=seed) for seed in (0, 0, 1))
    assert all(map(np.array_equal, jax.tree.leaves(first), jax.tree.leaves(second)))
    weights = [unit.convolution.weight for model in (first, other) for unit in units(model, Unit)]
    assert len({float(weight[0, 0, 0, 0]) for weight in weights}) == len(weights)  # no key serves twice


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet-18"}, "`name` must be one of resnet18.*did you mean 'resnet18'"),
        ({"name": ["resnet18"]}, "`name` must be one of resnet18"),
        ({"name": "resnet18", "form": "image-net"}, "`form` must be one of cifar, imagenet.*did you mean 'imagenet'"),
        ({"name": "wide_resnet28_10", "form": "imagenet"}, "`form` must be cifar for wide_resnet28_10, got 'imagenet'"),
        ({"name": "squeezenet1_1"}, "`form` must be imagenet for squeezenet1_1, got 'cifar'"),
        ({"name": "vgg11", "normalizer": "fixup"}, "`normalizer` fixup needs residual branches, got 'vgg11'"),
        ({"name": "vgg11", "classes": 1}, "`classes` must be a whole number of logits, at least 2, got 1"),
        ({"name": "vgg11", "classes": 10.0}, "`classes` must be a whole number of logits"),
    ],
)
def test_a_model_that_does_not_exist_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        models.make(**arguments, key=KEY)


@pytest.mark.parametrize(
    ("name", "form", "shape", "message"),
    [
        (
            "resnet18",
            "cifar",
            (2, 3, 32, 32),
            r"`x` must be images of shape \(batch, height, width, 3\), got shape \(2, 3, 32",
        ),
        ("resnet18", "cifar", (2, 32, 32, 1), "`x` must be images of shape"),
        ("resnet18", "cifar", (2, 32, 4, 3), "at least 8 x 8 for resnet18 in its cifar form, got 32 x 4; enlarge them"),
        ("resnet18", "imagenet", (2, 28, 28, 3), "at least 32 x 32.*got 28 x 28; enlarge them, or take the CIFAR form"),
        ("squeezenet1_0", "imagenet", (2, 20, 20, 3), "at least 21 x 21"),
        ("vgg11", "cifar", (2, 64, 64, 3), "images of 32 x 32.*has 512 inputs, got 64 x 64"),
        (
            "shufflenet_v2_x0_5",
            "cifar",
            (1, 32, 32, 3),
            "at least 2 samples, because batch_norm takes statistics of the batch",
        ),
    ],
)
def test_images_that_a_model_cannot_take_are_refused(name, form, shape, message):
    def logits(key, x):
        return models.make(name, form=form, key=key)(x)

    with pytest.raises(ValueError, match=message):
        jax.eval_shape(logits, KEY, jax.ShapeDtypeStruct(shape, jnp.float32))


def test_images_of_another_dtype_are_refused():
    with pytest.raises(ValueError, match="`x` must have the parameters' dtype float32, got float64; convert it"):
        small("resnet", "none")(images("resnet", dtype=jnp.float64))


def test_a_batch_of_one_will_do_without_batch_statistics():
    assert jax.eval_shape(small("resnet", "layer_norm"), images("resnet", batch=1)).shape == (1, 3)


@pytest.mark.parametrize("name", models.NAMES)
def test_the_smallest_images_that_a_model_claims_pass_through_it(name):
    for form in models.ARCHITECTURES[name].forms:

        def logits(key, form=form):
            model = models.make(name, "none", form=form, key=key)
            side = model.network.smallest
            return model(jnp.zeros((2, side, side, 3), jnp.float32))

        assert jax.eval_shape(logits, KEY).shape == (2, 10)


def test_the_small_architectures_cover_the_library():
    assert set(RESIDUAL) < set(BUILDERS) == set(SIDES)
