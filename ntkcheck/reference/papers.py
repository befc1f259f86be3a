"""The papers' tables: which models they compare under which normalisers, and the memory that one of them prints."""

from typing import NamedTuple

CLASSES = {"cifar": 100, "imagenet": 1000}  # of CIFAR-100 and ImageNet
SIDES = {"cifar": 32, "imagenet": 224}
PRINTED_BATCH = 256


class Printed(NamedTuple):
    """Memory of training at batch 256 as MimicNorm's paper prints it.

    Attributes:
        model: The reference network.
        form: Its form.
        batch_norm: MB in all, with BatchNorm.
        mimic_norm: The same with MimicNorm.
    """

    model: str
    form: str
    batch_norm: int
    mimic_norm: int

    @property
    def ratio(self) -> float:
        """MimicNorm over BatchNorm."""
        return self.mimic_norm / self.batch_norm


# MimicNorm (arXiv 2010.09278), tables of memory on ImageNet and on CIFAR-100; claim MN-10. CIFAR's ShuffleNetV2 is the one of
# 1.3 million parameters, 1.0x.
PRINTED = (
    Printed("resnet18", "imagenet", 8057, 5603),
    Printed("resnet50", "imagenet", 27083, 22489),
    Printed("resnet101", "imagenet", 37168, 30363),
    Printed("vgg16", "imagenet", 62162, 56410),
    Printed("shufflenet_v2_x0_5", "imagenet", 4385, 3603),
    Printed("vgg11", "cifar", 2971, 2851),
    Printed("vgg16", "cifar", 3745, 3489),
    Printed("resnet18", "cifar", 4447, 4157),
    Printed("resnet50", "cifar", 8533, 7533),
    Printed("squeezenet1_0", "cifar", 3687, 2693),
    Printed("shufflenet_v2_x1_0", "cifar", 3915, 3141),
)
# IterNorm (arXiv 1904.03441), experiments: WideResNets on CIFAR, ResNets on ImageNet.
ITER_NORM = (
    ("wide_resnet28_10", "cifar"),
    ("wide_resnet40_10", "cifar"),
    ("resnet18", "imagenet"),
    ("resnet50", "imagenet"),
    ("resnet101", "imagenet"),
)


def table() -> dict[tuple[str, str], tuple[str, ...]]:
    """The papers' models, as (model, form), with the normalisers that they compare in each."""
    found: dict[tuple[str, str], tuple[str, ...]] = {
        (row.model, row.form): ("batch_norm", "mimic_norm") for row in PRINTED
    }
    for place in ITER_NORM:
        found[place] = (*found.get(place, ("batch_norm",)), "iter_norm")
    return found
