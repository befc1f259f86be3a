"""The regime's quantities in random networks of finite width: one value a network, the scatter over networks as error."""

import jax.numpy as jnp
import numpy as np

from ntkcheck.empirical.depth import derivatives_through_depth, forward_through_depth
from ntkcheck.empirical.network import apply_function, init
from ntkcheck.empirical.ntk import empirical_ntk
from ntkcheck.measurement import FINITE, Measurement
from ntkcheck.normalizers import couples_samples
from ntkcheck.regime.curves import Curve, curve, stationary
from ntkcheck.regime.settings import Experiment
from ntkcheck.regime.theory import NEAR_ZERO, NTK_STATISTICS, settled
from ntkcheck.stats import mean_estimate

DERIVATIVE_BATCHES = 3  # gradients and close pairs hardly differ from batch to batch of the same network
NTK_NETWORKS = 5


def measure(experiment: Experiment, name: str) -> tuple[list[Measurement], list[Curve]]:
    """Every quantity of one normaliser at finite width, and its curves through depth."""
    settings, network = experiment.settings, experiment.networks[name]
    batches = jnp.asarray(experiment.batches)
    keys = [experiment.key("finite", name, str(seed)) for seed in range(settings.seeds)]
    forward = [forward_through_depth(key, batches, network, settings.width) for key in keys]
    backward = [derivatives_through_depth(key, batches[:DERIVATIVE_BATCHES], network, settings.width) for key in keys]
    correlation = np.stack(
        [np.asarray(run.correlation).reshape(network.depth, -1)[:, : settings.pairs] for run in forward]
    )
    gradient = np.stack([np.asarray(run.gradient) for run in backward])
    gradient_growth = gradient[:, :-1] / gradient[:, 1:]
    ntk = _ntks(network, keys[:NTK_NETWORKS], batches[0], settings.width)
    by_network = {
        "correlation_slope": [stationary(_growth(run.distance).mean(1)) for run in backward],
        "pair_correlation": correlation[:, -1].mean(1),
        "smallest_correlation": correlation[:, -1].min(1),
        "share_near_zero": (np.abs(correlation[:, settled(experiment)]) <= NEAR_ZERO).mean((1, 2)),
        "gradient_growth": stationary(gradient_growth),
        "second_moment_growth": [stationary(_growth(run.second_moment)) for run in forward],
        **{quantity: statistic(ntk) for quantity, statistic in NTK_STATISTICS.items()},
    }
    measurements = [
        Measurement(
            name,
            quantity,
            FINITE,
            mean_estimate(np.asarray(values)),
            f"{len(values)} networks of width {settings.width}",
        )
        for quantity, values in by_network.items()
    ]
    depth = np.arange(1, network.depth + 1)
    return measurements, [
        curve(name, "correlation", FINITE, depth, correlation.mean(2)),
        curve(name, "ntk_off_diagonal", FINITE, depth[-1:], NTK_STATISTICS["ntk_off_diagonal"](ntk)[:, None]),
        curve(name, "gradient", FINITE, depth[:-1], gradient_growth),
    ]


def _ntks(network, keys, x, width):
    """Empirical NTKs of the networks of these keys on one batch."""
    coupled = couples_samples(network.normalizer, x.shape[0], width)
    apply = apply_function(network)
    params = [init(key, network, x.shape[1], width) for key in keys]
    return np.stack([np.asarray(empirical_ntk(apply, p, x, batch_coupled=coupled)) for p in params])


def _growth(values):
    values = np.asarray(values)
    return values[1:] / values[:-1]
