"""What each normaliser changes in a network: biases, scalars, centring, initialisation. 15 s."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck import models
from ntkcheck.models import scheme
from ntkcheck.models.layers import Affine, Convolution, Dense, Norm, Unit
from tests.models.small import images, small, units

KEY = jax.random.key(0)


def shapes(name, normalizer, form="cifar"):
    return jax.eval_shape(lambda key: models.make(name, normalizer, 10, form, key=key), KEY)


def fan_in(convolution):
    return int(np.prod(convolution.weight.shape[:3]))


def is_centred(convolution):
    mean = np.abs(convolution.constrained_weight().mean((0, 1, 2))).max()
    # Of a mean of n terms of magnitude below 1, in float32: rounding only, where n i.i.d. terms would leave sigma / sqrt(n) > 1e-3.
    return bool(mean < 1e-6)


@pytest.mark.parametrize(
    ("name", "form", "uncentred", "centred"),
    [
        ("resnet", "cifar", {27, 8}, {72, 144}),  # the stem and the shortcut
        ("resnet", "imagenet", {8}, {147, 72, 144}),
        ("shufflenet", "cifar", {27, 9, 24, 4, 8}, set()),  # depthwise convolutions have 9
        ("squeezenet", "cifar", {27, 2, 18, 16}, {96}),
    ],
)
def test_mimic_norm_centres_the_weights_of_convolutions_whose_fan_in_exceeds_50(name, form, uncentred, centred):
    convolutions = units(small(name, "mimic_norm", form), Convolution)
    assert {fan_in(c) for c in convolutions if not is_centred(c)} == uncentred
    assert {fan_in(c) for c in convolutions if is_centred(c)} == centred


def test_mimic_norm_leaves_dense_layers_and_other_normalizers_leave_convolutions_uncentred():
    assert not any(is_centred(c) for c in units(small("vgg", "batch_norm"), Convolution))
    assert all(abs(float(layer.weight.mean())) > 1e-6 for layer in units(small("vgg", "mimic_norm"), Dense))


@pytest.mark.parametrize(
    ("name", "convolutions", "options"),
    [("resnet", 2, {"stages": (2, 3)}), ("bottleneck", 3, {"stages": (2, 3)}), ("wide_resnet", 2, {"depth": 16})],
)
def test_mimic_norm_scales_the_kth_branch_by_a_power_of_1_2_over_k(name, convolutions, options):
    network = small(name, "mimic_norm", **options).network
    ends = [block.end if name == "wide_resnet" else block.branch[-1].norm.affine for block in network.blocks]
    expected = [1.2**convolutions / k for k in range(1, len(ends) + 1)]  # the count goes on over the stages
    np.testing.assert_allclose([end.scale for end in ends], expected, rtol=1e-6)  # one rounding to float32
    assert len([a for a in units(network, Affine) if a.scale is not None]) == len(ends)  # and nowhere else


def test_mimic_norm_scales_shortcuts_in_the_imagenet_form_alone():
    for form, scale in (("imagenet", 1.2), ("cifar", None)):
        blocks = small("resnet", "mimic_norm", form).network.blocks
        shortcut = blocks[1].shortcut.norm.affine.scale
        assert shortcut is None if scale is None else abs(shortcut - scale) < 1e-6
        assert blocks[0].shortcut is None


def test_mimic_norm_scales_the_branches_of_shufflenet_and_its_last_convolution():
    network = small("shufflenet", "mimic_norm").network
    halving, keeping = network.units
    np.testing.assert_allclose(halving.branch[2].norm.affine.scale, 1.44, rtol=1e-6)
    np.testing.assert_allclose(halving.shortcut[1].norm.affine.scale, 1.2, rtol=1e-6)
    np.testing.assert_allclose(keeping.branch[2].norm.affine.scale, 1.44, rtol=1e-6)
    np.testing.assert_allclose(network.last.norm.affine.scale, 1.2, rtol=1e-6)


def test_mimic_norm_has_no_normaliser_but_one_without_affine_part_on_the_logits():
    model = small("resnet", "mimic_norm")
    assert all(norm.function is None for norm in units(model.network, Norm))
    assert model.output_norm.affine == Affine()
    logits = jax.jit(lambda model, x: model(x))(model, images("resnet"))
    # The logits' variance is of order 1, of which eps takes 1e-5 at a variance of 1 and more at less; rounding is below that.
    np.testing.assert_allclose(logits.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(logits.var(0), 1, atol=1e-3)


def test_convolutions_have_biases_where_no_shift_follows_and_where_the_papers_have_them():
    def has_bias(name, normalizer, form="cifar"):
        return {c.bias is not None for c in units(shapes(name, normalizer, form), Convolution)}

    assert has_bias("resnet18", "batch_norm") == has_bias("resnet18", "fixup") == {False}
    assert has_bias("resnet18", "none") == has_bias("resnet18", "mimic_norm") == {True}
    assert has_bias("vgg11", "batch_norm") == has_bias("squeezenet1_0", "batch_norm") == {True}
    assert has_bias("shufflenet_v2_x0_5", "batch_norm") == {True}
    assert has_bias("shufflenet_v2_x0_5", "batch_norm", "imagenet") == {False}


def excess_variances(model, variance=2.0):
    """Per convolution, the weights' variance over variance / fan-in, less 1, in standard errors sqrt(2 / weights)."""
    convolutions = units(model, Convolution)
    ratios = [float((c.weight**2).mean()) * fan_in(c) / variance for c in convolutions]
    return np.array([(ratio - 1) / (2 / c.weight.size) ** 0.5 for ratio, c in zip(ratios, convolutions, strict=True)])


def test_weights_have_he_variance():
    convolutions = small("resnet", "batch_norm", width=32)
    assert np.abs(excess_variances(convolutions)).max() <= 4  # 6 convolutions
    assert np.abs(excess_variances(convolutions, 1.0)).min() > 4


def test_mimic_norm_starts_plain_networks_with_weights_of_the_published_variance():
    network = small("squeezenet", "mimic_norm", squeezed=(32, 32)).network
    convolutions = [unit.convolution for fire in network.fires for unit in units(fire, Unit)]
    assert np.abs(excess_variances(convolutions, 2.8)).max() <= 4  # 6 convolutions
    assert np.abs(excess_variances(convolutions, 2.0)).min() > 4
    stem = [network.stem.convolution]  # its fan-in counts 4 channels for 3
    assert np.abs(excess_variances(stem, 2.8 * 3 / 4)) <= 4
    assert np.abs(excess_variances(stem, 2.8)) > 4


def test_scaled_batch_norm_is_batch_norm_with_scales_of_a_tenth():
    scaled, plain = (small("resnet", name) for name in ("scaled_batch_norm", "batch_norm"))
    affine = units(scaled.network, Norm)[0].affine
    np.testing.assert_allclose(affine.scale, 0.1, rtol=1e-6)
    x = images("resnet")
    np.testing.assert_array_equal(scaled.features(x)["stem.norm"], plain.features(x)["stem.norm"])


@pytest.mark.parametrize(("architecture", "affines"), [("resnet", 4), ("bottleneck", 6), ("wide_resnet", 5)])
def test_fixup_starts_as_a_network_of_its_shortcuts_with_zero_logits(architecture, affines):
    model, x = small(architecture, "fixup"), images(architecture)
    np.testing.assert_array_equal(model(x), 0)
    for block in model.network.blocks:
        last = block.convolutions[-1] if architecture == "wide_resnet" else block.branch[-1].convolution
        assert not np.any(last.weight)
        # A shift before each convolution and each activation, and a scale and shift at the end; WideResNet's activations are two.
        present = [affine for affine in units(block, Affine) if affine != Affine()]
        assert len(present) == affines
        assert [affine.scale is not None for affine in present].count(True) == 1


@pytest.mark.parametrize(("name", "exponent"), [("resnet", 1 / 2), ("bottleneck", 1 / 4)])
def test_fixup_divides_the_weights_of_branches_by_a_root_of_their_number(name, exponent):
    blocks = small(name, "fixup", stages=(1, 3), width=32).network.blocks
    inner = [unit.convolution for block in blocks for unit in block.branch[:-1]]
    assert np.abs(excess_variances(inner, 2 * 4 ** (-2 * exponent))).max() <= 4
    assert np.abs(excess_variances(inner)).min() > 4
    shortcuts = [block.shortcut for block in blocks if block.shortcut is not None]
    assert np.abs(excess_variances(shortcuts)).max() <= 4


def test_an_unknown_normalizer_is_refused_with_the_nearest_known():
    with pytest.raises(ValueError, match=r"`normalizer` must be one of none, batch_norm.*did you mean 'mimic_norm'"):
        scheme.get("mimicnorm")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "batch_norm", "group_size": 8}, "`group_size` must be left out, got 8: batch_norm does not whiten"),
        ({"name": "zca", "group_size": 0}, "`group_size` must be a positive whole number"),
        ({"name": "zca", "eps": -1.0}, "`eps` must be a finite number >= 0, got -1.0"),
        ({"name": "zca", "dtype": jnp.int32}, "`dtype` must be a floating type"),
    ],
)
def test_a_parameter_outside_its_domain_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        scheme.get(**options)


def test_a_dtype_that_is_switched_off_is_refused():
    with jax.enable_x64(False), pytest.raises(ValueError, match="float64 needs jax_enable_x64"):
        scheme.get("none", dtype=np.float64)
