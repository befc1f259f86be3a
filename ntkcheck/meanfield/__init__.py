"""Infinite width: Gaussian laws of pre-activations, and the recursions of NNGP and NTK through depth."""

from ntkcheck.meanfield.field import Field, dense_step, input_field
from ntkcheck.meanfield.propagate import Network, Profile, Sampled, make_network, profile, propagate

__all__ = [
    "Field",
    "Network",
    "Profile",
    "Sampled",
    "dense_step",
    "input_field",
    "make_network",
    "profile",
    "propagate",
]
