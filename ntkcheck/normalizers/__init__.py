"""What is tested: pure functions (batch, features) -> (batch, features), and weight mean, a constraint on weights.

Every function takes one group of statistics from one batch and has no state. `eps` is added to variances and is 0 unless the
caller says otherwise, because the theory is written without it.
"""

from ntkcheck.normalizers.batch_norm import batch_norm
from ntkcheck.normalizers.iter_norm import iter_norm
from ntkcheck.normalizers.layer_norm import layer_norm
from ntkcheck.normalizers.registry import NAMES, WHITENINGS, Function, Normalizer, get
from ntkcheck.normalizers.user import couples_samples, from_file, from_function
from ntkcheck.normalizers.weight_mean import RELU_COMPENSATION, centre_weights
from ntkcheck.normalizers.whitening import cholesky, pca, zca

__all__ = [
    "NAMES",
    "RELU_COMPENSATION",
    "WHITENINGS",
    "Function",
    "Normalizer",
    "batch_norm",
    "centre_weights",
    "cholesky",
    "couples_samples",
    "from_file",
    "from_function",
    "get",
    "iter_norm",
    "layer_norm",
    "pca",
    "zca",
]
