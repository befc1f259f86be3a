"""Networks of finite width against infinite width: the distance of their kernels falls as width^(-1/2)."""

import jax
import numpy as np
import pytest

from ntkcheck import meanfield
from ntkcheck.empirical import empirical_ntk
from ntkcheck.empirical.network import apply_function, init
from ntkcheck.network import make_network
from ntkcheck.stats import fit_power_law, interval, mean_estimate

WIDTHS = np.array([128, 256, 512, 1024, 2048, 4096])
SEEDS = 6
X = np.random.default_rng(3).standard_normal((8, 24))


def rate(network, theory):
    """Exponent of the mean relative Frobenius distance to `theory` in the width, with its 95% interval."""
    distances = []
    for width in WIDTHS:
        keys = jax.random.split(jax.random.key(int(width)), SEEDS)
        kernels = [
            empirical_ntk(apply_function(network), init(key, network, X.shape[1], int(width)), X) for key in keys
        ]
        distances.append(
            mean_estimate(np.array([np.linalg.norm(k - theory) / np.linalg.norm(theory) for k in kernels]))
        )
    values, sems = np.array([(d.value, d.sem) for d in distances]).T
    return interval(fit_power_law(WIDTHS.astype(float), values, sems).exponent)


# The kernel of one network is a mean over neurons: its distance to the limit is (fluctuation) width^-1/2 + (bias) width^-1, the
# bias at most a tenth of the fluctuation at width 128. Power: exponents 0 (a wrong limit) and -1 lie outside the interval.
@pytest.mark.parametrize(("normalizer", "sigma_w"), [("none", 2**0.5), ("batch_norm", 1.0), ("weight_mean", 2**0.5)])
def test_empirical_ntk_tends_to_the_infinite_width_ntk_at_rate_one_half(normalizer, sigma_w):
    network = make_network(2, normalizer, "relu", sigma_w)
    low, high = rate(network, np.asarray(meanfield.propagate(X, 2, normalizer, "relu", sigma_w).ntk))
    assert low <= -0.5 <= high
    assert low > -1
    assert high < 0


def test_a_limit_that_is_wrong_by_a_quarter_is_noticed():
    network = make_network(2, "none", "relu", 2**0.5)
    wrong = 1.25 * np.asarray(meanfield.propagate(X, 2, "none", "relu", 2**0.5).ntk)
    low, high = rate(network, wrong)
    assert not low <= -0.5 <= high
