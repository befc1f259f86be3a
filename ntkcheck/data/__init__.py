"""Data sets to test on: real digits that come with the package, Gaussian populations, and files in published formats."""

from ntkcheck.data.bundled import digit_labels, digits
from ntkcheck.data.dataset import Dataset, standardize
from ntkcheck.data.loading import load
from ntkcheck.data.synthetic import gaussian, log_spaced_spectrum

__all__ = ["Dataset", "digit_labels", "digits", "gaussian", "load", "log_spaced_spectrum", "standardize"]
