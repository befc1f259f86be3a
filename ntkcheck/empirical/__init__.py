"""Finite width: the exact neural tangent kernel of any network."""

from ntkcheck.empirical.jacobian import empirical_ntk_jacobian
from ntkcheck.empirical.ntk import empirical_ntk

__all__ = ["empirical_ntk", "empirical_ntk_jacobian"]
