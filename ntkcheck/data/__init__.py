"""Data sets to test on: real data that come with the package, generated populations, and files in published formats."""

from ntkcheck.data.bundled import digit_labels, digits, photographs
from ntkcheck.data.dataset import Dataset, standardize
from ntkcheck.data.loading import load
from ntkcheck.data.populations import POPULATIONS, population
from ntkcheck.data.synthetic import gaussian, log_spaced_spectrum

__all__ = [
    "POPULATIONS",
    "Dataset",
    "digit_labels",
    "digits",
    "gaussian",
    "load",
    "log_spaced_spectrum",
    "photographs",
    "population",
    "standardize",
]
