"""Finite width: the exact neural tangent kernel of any network, and its spectrum where the kernel is too large."""

from ntkcheck.empirical.jacobian import empirical_ntk_jacobian
from ntkcheck.empirical.matrix_free import RitzValues, largest_eigenvalues, ntk_trace, ntk_vector_product
from ntkcheck.empirical.ntk import empirical_ntk

__all__ = [
    "RitzValues",
    "empirical_ntk",
    "empirical_ntk_jacobian",
    "largest_eigenvalues",
    "ntk_trace",
    "ntk_vector_product",
]
