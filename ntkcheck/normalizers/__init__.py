"""What is tested: pure functions (batch, features) -> (batch, features), and weight mean, a constraint on weights.

Every function takes its statistics from one batch and has no state; those that remember earlier batches are `SequenceNormalizer`s,
to whose functions the state is passed. `eps` is added to variances and is 0 unless the
caller says otherwise, because the theory is written without it.
"""

from ntkcheck.normalizers.batch_norm import batch_norm
from ntkcheck.normalizers.group_norm import group_norm
from ntkcheck.normalizers.iter_norm import iter_norm
from ntkcheck.normalizers.layer_norm import layer_norm
from ntkcheck.normalizers.mabn import mabn
from ntkcheck.normalizers.memorized_batch_norm import memorized_batch_norm
from ntkcheck.normalizers.moving_batch_norm import moving_batch_norm
from ntkcheck.normalizers.newton_paper import breakdown, breakdown_map, iter_norm_paper
from ntkcheck.normalizers.power_norm import power_norm
from ntkcheck.normalizers.registry import NAMES, WHITENINGS, Function, Normalizer, get
from ntkcheck.normalizers.scaled_batch_norm import scaled_batch_norm
from ntkcheck.normalizers.sequence import SequenceNormalizer
from ntkcheck.normalizers.user import couples_samples, from_file, from_function
from ntkcheck.normalizers.weight_mean import RELU_COMPENSATION, centre_weights
from ntkcheck.normalizers.whitening import cholesky, pca, zca

__all__ = [
    "NAMES",
    "RELU_COMPENSATION",
    "WHITENINGS",
    "Function",
    "Normalizer",
    "SequenceNormalizer",
    "batch_norm",
    "breakdown",
    "breakdown_map",
    "centre_weights",
    "cholesky",
    "couples_samples",
    "from_file",
    "from_function",
    "get",
    "group_norm",
    "iter_norm",
    "iter_norm_paper",
    "layer_norm",
    "mabn",
    "memorized_batch_norm",
    "moving_batch_norm",
    "pca",
    "power_norm",
    "scaled_batch_norm",
    "zca",
]
