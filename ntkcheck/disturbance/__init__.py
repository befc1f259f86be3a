"""SND over populations, normalisers, batch sizes, groups and Newton steps, held against its laws: the run behind `ntkcheck snd`."""

from ntkcheck.disturbance.document import document
from ntkcheck.disturbance.run import Result, run, stored
from ntkcheck.disturbance.settings import Experiment, Settings, prepare

__all__ = ["Experiment", "Result", "Settings", "document", "prepare", "run", "stored"]
