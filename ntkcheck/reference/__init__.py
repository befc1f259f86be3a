"""Full-size reference models as ground truth: what their activations, gradients, NTK, memory and time are."""

from ntkcheck.reference.document import document
from ntkcheck.reference.experiment import Experiment, prepare
from ntkcheck.reference.run import Result, run, stored
from ntkcheck.reference.settings import WHAT, Settings

__all__ = ["WHAT", "Experiment", "Result", "Settings", "document", "prepare", "run", "stored"]
