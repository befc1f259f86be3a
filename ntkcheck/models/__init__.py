"""Full-size reference networks with a pluggable normaliser: `make(name, normalizer, classes, form, key=key)`."""

from ntkcheck.models.layers import Observe
from ntkcheck.models.model import Model
from ntkcheck.models.registry import ARCHITECTURES, FORMS, NAMES, make
from ntkcheck.models.scheme import NORMALIZERS

__all__ = ["ARCHITECTURES", "FORMS", "NAMES", "NORMALIZERS", "Model", "Observe", "make"]
