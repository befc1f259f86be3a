"""What is refused before anything is computed, and what follows from what."""

from dataclasses import replace

import jax
import pytest

from ntkcheck.reference import papers, prepare
from ntkcheck.reference.settings import WHAT
from tests.reference import TINY

ABSENT = "gpu" if jax.devices()[0].platform == "cpu" else None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ("resnet8",)}, "`model` must be one of resnet18, .*, got 'resnet8'; did you mean 'resnet18'"),
        (
            {"normalizers": ("batchnorm",)},
            "`normalizer` must be one of none, .*, got 'batchnorm'; did you mean 'batch_norm'",
        ),
        ({"what": ("ntks",)}, "`what` must be one of .*, got 'ntks'; did you mean 'ntk'"),
        ({"form": "imagnet"}, "`form` must be one of cifar, imagenet, got 'imagnet'; did you mean 'imagenet'"),
        ({"precision": "hi"}, "`precision` must be one of highest, high, default, got 'hi'"),
        ({"device": "tpu"}, "`device` must be one of cpu, gpu, got 'tpu'"),
        ({"models": ()}, "`model` must name at least one, got none; try resnet18"),
        ({"what": ("memory", "memory")}, "`what` must give every name once, got memory, memory"),
        ({"image": 4}, "`image` must be at least 8 for squeezenet1_0 in its cifar form, got 4; try 32"),
        (
            {"models": ("vgg11",), "image": 64, "form": "cifar"},
            "`image` must be the side of images of 32 x 32, because the first dense layer",
        ),
        ({"batch": 1}, "`batch` must be at least 2 for batch_norm, which takes statistics of the batch, got 1; try 32"),
        (
            {"batch": 1, "what": ("ntk",), "normalizers": ("layer_norm",)},
            "`batch` must be at least 2 for ntk, which compares images with each other, got 1; try 32",
        ),
        ({"seeds": 1}, r"`seeds` must be a whole number, at least 2 \(their scatter is the standard error\), got 1"),
        (
            {"models": ("resnet34",), "papers": True},
            "`model` must be one of the papers' tables, which hold resnet18, .*, got resnet34; leave out `papers`",
        ),
        ({"classes": 1}, "`classes` must be a whole number, at least 2, got 1"),
        ({"memory": "much"}, '`memory` must be a number of bytes or a text like "4GB"'),
        ({"normalizers": ("fixup",)}, "`normalizer` fixup needs residual branches, got 'squeezenet1_0'"),
        ({"models": ("wide_resnet28_10",), "form": "imagenet"}, "`form` must be cifar for wide_resnet28_10"),
        ({"data": "patch", "what": ("gradients",)}, "`data` must be one of patches, digits, gaussian, got 'patch'"),
    ],
)
def test_bad_input_is_refused_with_the_option_the_value_and_what_would_do(changes, message):
    with pytest.raises(ValueError, match=message):
        prepare(replace(TINY, **changes))


@pytest.mark.skipif(ABSENT is None, reason="there is a GPU")
def test_a_gpu_that_is_absent_is_said_and_not_replaced():
    with pytest.raises(ValueError, match="`device` must be one that JAX finds, got 'gpu', but this JAX has cpu"):
        prepare(replace(TINY, device="gpu"))


def test_a_batch_of_one_is_let_pass_where_samples_do_not_see_each_other():
    assert prepare(replace(TINY, batch=1, normalizers=("layer_norm",))).cells


def test_image_and_form_follow_from_each_other_and_the_batch_from_what_is_printed():
    def first(**changes):
        return prepare(replace(TINY, batch=None, **changes)).cells[0].parameters

    assert first().items() >= {"form": "cifar", "image": 32, "batch": 256, "classes": 100}.items()
    assert first(image=224).items() >= {"form": "imagenet", "image": 224, "classes": 1000}.items()
    assert first(form="imagenet")["image"] == 224
    assert first(what=("time",))["batch"] == 32
    assert first(what=("ntk",), data="gaussian")["classes"] == 10
    assert first(models=("squeezenet1_1",))["form"] == "imagenet"


def test_the_papers_table_holds_every_printed_model_under_both_normalisers():
    table = papers.table()
    assert len(papers.PRINTED) == 11
    for row in papers.PRINTED:
        assert {"batch_norm", "mimic_norm"} <= set(table[row.model, row.form])
    assert table["wide_resnet28_10", "cifar"] == ("batch_norm", "iter_norm")
    # The claim's text: ratios from 0.695 to 0.960.
    assert [round(f([row.ratio for row in papers.PRINTED]), 3) for f in (min, max)] == [0.695, 0.96]


def test_the_papers_table_can_be_asked_for_one_model_or_form():
    cells = prepare(replace(TINY, models=("resnet18",), papers=True)).cells
    asked = [(cell.parameters["form"], cell.parameters["normalizer"]) for cell in cells]
    assert asked == [("imagenet", n) for n in ("batch_norm", "mimic_norm", "iter_norm")] + [
        ("cifar", n) for n in ("batch_norm", "mimic_norm")
    ]
    only = prepare(replace(TINY, models=("resnet18",), form="cifar", papers=True)).cells
    assert {cell.parameters["form"] for cell in only} == {"cifar"}


def test_every_kind_of_measurement_has_its_cells_with_all_that_numbers_depend_on():
    cells = prepare(replace(TINY, what=WHAT, normalizers=("batch_norm",), data="gaussian")).cells
    assert [cell.kind for cell in cells] == [
        *("activations", "gradients", "ntk, one logit", "ntk, all logits", "memory", "program", "time")
    ]
    assert all(cell.parameters["precision"] == "highest" for cell in cells if cell.kind != "memory")
    assert all(cell.parameters["device"] == jax.devices()[0].platform for cell in cells if cell.kind != "memory")
