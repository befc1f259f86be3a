"""Which regime a normaliser puts a deep network in: order, criticality or chaos, by theory and by random networks."""

from ntkcheck.regime.document import document
from ntkcheck.regime.run import Result, run, stored
from ntkcheck.regime.settings import Experiment, Settings, prepare
from ntkcheck.regime.verdict import Regime, classify, critical_band

__all__ = [
    "Experiment",
    "Regime",
    "Result",
    "Settings",
    "classify",
    "critical_band",
    "document",
    "prepare",
    "run",
    "stored",
]
