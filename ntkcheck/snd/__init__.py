"""SND: how much a normaliser disturbs a sample through the other samples of its batch, measured and by theory."""

from ntkcheck.snd.batch_norm_law import batch_norm_law, batch_norm_many_features
from ntkcheck.snd.delta import FirstOrder, Moments, first_order, gaussian_moments, sample_moments
from ntkcheck.snd.estimate import disturbance, estimate
from ntkcheck.snd.law import isotropic_iter_norm, isotropic_zca
from ntkcheck.snd.per_anchor import AnchorDisturbance, per_anchor
from ntkcheck.snd.result import Disturbance
from ntkcheck.snd.sequence import sequence_disturbance
from ntkcheck.snd.statistics import statistics_function
from ntkcheck.snd.validity import holds_from

__all__ = [
    "AnchorDisturbance",
    "Disturbance",
    "FirstOrder",
    "Moments",
    "batch_norm_law",
    "batch_norm_many_features",
    "disturbance",
    "estimate",
    "first_order",
    "gaussian_moments",
    "holds_from",
    "isotropic_iter_norm",
    "isotropic_zca",
    "per_anchor",
    "sample_moments",
    "sequence_disturbance",
    "statistics_function",
]
