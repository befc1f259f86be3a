"""Reference models at a size that compiles in a moment, and settings that evaluate shapes alone."""

from ntkcheck.reference import Settings
from ntkcheck.reference.case import Case
from tests.models.small import small

TINY = Settings(models=("squeezenet1_0",), batch=4, what=("memory",))
CASE = Case("vgg11", "batch_norm", "cifar", 32, 4, 3)


def use_small_models(monkeypatch, architecture="vgg"):
    """Networks of a few channels in the place of the full-size ones."""

    def network(case, seed, index):
        return small(architecture, case.normalizer, classes=case.classes, seed=seed + index)

    monkeypatch.setattr(Case, "network", network)
    return CASE
