"""The full-size models by shape evaluation: published parameter counts, and every model with every normaliser. 15 s."""

import functools
import math

import jax
import jax.numpy as jnp
import pytest

from ntkcheck import models

SIDE = {"cifar": 32, "imagenet": 224}

# torchvision documents `num_params` of the weights of each model at 1000 classes. The CIFAR ResNets are those of
# github.com/kuangliu/pytorch-cifar; ResNet-18's 11,173,962 is widely printed, the others follow from the ImageNet counts less the
# stem's and the readout's difference (a test below), as the two forms share everything else.
PUBLISHED = [
    ("resnet18", "batch_norm", "imagenet", 1000, 11_689_512),
    ("resnet34", "batch_norm", "imagenet", 1000, 21_797_672),
    ("resnet50", "batch_norm", "imagenet", 1000, 25_557_032),
    ("resnet101", "batch_norm", "imagenet", 1000, 44_549_160),
    ("vgg11", "none", "imagenet", 1000, 132_863_336),
    ("vgg11", "batch_norm", "imagenet", 1000, 132_868_840),
    ("vgg16", "none", "imagenet", 1000, 138_357_544),
    ("vgg16", "batch_norm", "imagenet", 1000, 138_365_992),
    ("shufflenet_v2_x0_5", "batch_norm", "imagenet", 1000, 1_366_792),
    ("shufflenet_v2_x1_0", "batch_norm", "imagenet", 1000, 2_278_604),
    ("squeezenet1_0", "none", "imagenet", 1000, 1_248_424),
    ("squeezenet1_1", "none", "imagenet", 1000, 1_235_496),
    ("resnet18", "batch_norm", "cifar", 10, 11_173_962),
    # Asserted in github.com/osmr/imgclsmob for CIFAR-10 and CIFAR-100; the paper's table 4 prints 36.5M.
    ("wide_resnet28_10", "batch_norm", "cifar", 10, 36_479_194),
    ("wide_resnet28_10", "batch_norm", "cifar", 100, 36_536_884),
]
# In millions, as printed: github.com/weiaicunzai/pytorch-cifar100, README, at 100 classes, from which MimicNorm's CIFAR networks
# come (it cuts: 1,360,896 is its 1.3); and WideResNet-40-10 in table 4 of its paper, at 10 classes.
PRINTED = [
    ("resnet18", 100, "11.2"),
    ("resnet34", 100, "21.3"),
    ("resnet50", 100, "23.7"),
    ("resnet101", 100, "42.7"),
    ("vgg11", 100, "28.5"),
    ("vgg16", 100, "34.0"),
    ("squeezenet1_0", 100, "0.78"),
    ("shufflenet_v2_x1_0", 100, "1.3"),
    ("wide_resnet40_10", 10, "55.8"),
]
EVERY = [
    (name, form, normalizer)
    for name, architecture in models.ARCHITECTURES.items()
    for form in architecture.forms
    for normalizer in models.NORMALIZERS
    if architecture.residual or normalizer != "fixup"
]


@functools.cache
def parameter_count(name, normalizer, form, classes):
    model = jax.eval_shape(lambda key: models.make(name, normalizer, classes, form, key=key), jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(model))


@pytest.mark.parametrize(("name", "normalizer", "form", "classes", "count"), PUBLISHED)
def test_a_model_has_the_published_number_of_parameters(name, normalizer, form, classes, count):
    assert parameter_count(name, normalizer, form, classes) == count


@pytest.mark.parametrize(("name", "classes", "millions"), PRINTED)
def test_a_cifar_model_has_the_printed_millions_of_parameters(name, classes, millions):
    step = 10.0 ** -len(millions.partition(".")[2])
    count = parameter_count(name, "batch_norm", "cifar", classes) / 1e6
    # Printed digits are rounded or cut; both keep the count within a step of them.
    assert abs(count - float(millions)) < step


@pytest.mark.parametrize(
    ("name", "features"), [("resnet18", 512), ("resnet34", 512), ("resnet50", 2048), ("resnet101", 2048)]
)
def test_the_forms_of_a_resnet_differ_in_stem_and_readout_alone(name, features):
    stem = 64 * 3 * (7 * 7 - 3 * 3)
    readout = (1000 - 10) * (features + 1)
    imagenet = parameter_count(name, "batch_norm", "imagenet", 1000)
    assert parameter_count(name, "batch_norm", "cifar", 10) == imagenet - stem - readout


@pytest.mark.parametrize(("name", "scalars"), [("resnet18", 8 + 3), ("resnet50", 16 + 4)])
def test_mimic_norm_trades_scales_and_shifts_for_biases_and_a_scalar_per_branch(name, scalars):
    """In the ImageNet form: one scalar per block, one per shortcut that changes shape."""
    counts = {n: parameter_count(name, n, "imagenet", 1000) for n in ("none", "batch_norm", "mimic_norm")}
    channels = {"resnet18": 4800, "resnet50": 26560}[name]  # of all convolutions
    assert counts["batch_norm"] == counts["none"] + channels
    assert counts["mimic_norm"] == counts["none"] + scalars


@pytest.mark.parametrize(("name", "form", "normalizer"), EVERY)
def test_every_model_evaluates_with_every_normalizer(name, form, normalizer):
    def observed(key, x):
        return models.make(name, normalizer, 7, form, key=key).features(x)

    images = jax.ShapeDtypeStruct((8, SIDE[form], SIDE[form], 3), jnp.float32)
    features = jax.eval_shape(observed, jax.random.key(0), images)
    assert features["logits"].shape == (8, 7)
    assert {leaf.dtype for leaf in features.values()} == {jnp.dtype(jnp.float32)}


def test_the_list_of_models_is_the_papers():
    assert len(EVERY) == 178
    assert {name for name, _, normalizer in EVERY if normalizer == "fixup"} == {
        *("resnet18", "resnet34", "resnet50", "resnet101", "wide_resnet28_10", "wide_resnet40_10")
    }
