"""Infinite width: Gaussian laws of pre-activations, and the recursions of NNGP and NTK through depth."""

from ntkcheck.meanfield import batch_norm_fixed_point, growth
from ntkcheck.meanfield.correlation_map import (
    CorrelationMap,
    FixedPoint,
    correlation_map,
    fixed_point,
    iterate,
)
from ntkcheck.meanfield.cross_batch import cross_batch_step, propagate_across
from ntkcheck.meanfield.field import Field, dense_step, input_field
from ntkcheck.meanfield.length_map import Length, length_fixed_point
from ntkcheck.meanfield.propagate import Profile, Sampled, profile, propagate
from ntkcheck.network import Network, make_network

__all__ = [
    "CorrelationMap",
    "Field",
    "FixedPoint",
    "Length",
    "Network",
    "Profile",
    "Sampled",
    "batch_norm_fixed_point",
    "correlation_map",
    "cross_batch_step",
    "dense_step",
    "fixed_point",
    "growth",
    "input_field",
    "iterate",
    "length_fixed_point",
    "make_network",
    "profile",
    "propagate",
    "propagate_across",
]
