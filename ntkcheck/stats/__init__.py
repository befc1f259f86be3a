"""Intervals, tests against bounds, corrections for many questions, and fits of rates: statistics free of theory."""

from ntkcheck.stats.decision import samples_to_decide
from ntkcheck.stats.estimate import Estimate, Interval, interval, mean_estimate
from ntkcheck.stats.intervals import bootstrap_interval, wilson_interval
from ntkcheck.stats.multiplicity import bonferroni_level, holm
from ntkcheck.stats.power_law import PowerLaw, fit_power_law
from ntkcheck.stats.significance import equivalence_test, greater_test, less_test

__all__ = [
    "Estimate",
    "Interval",
    "PowerLaw",
    "bonferroni_level",
    "bootstrap_interval",
    "equivalence_test",
    "fit_power_law",
    "greater_test",
    "holm",
    "interval",
    "less_test",
    "mean_estimate",
    "samples_to_decide",
    "wilson_interval",
]
