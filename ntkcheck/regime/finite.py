"""The regime's quantities in random networks of finite width: one value a network, the scatter over networks as error."""

import jax
import jax.numpy as jnp
import numpy as np

from ntkcheck.empirical.depth import derivatives_through_depth, forward_through_depth
from ntkcheck.empirical.network import apply_function, init
from ntkcheck.empirical.ntk import empirical_ntk
from ntkcheck.measurement import Measurement, series, summarize
from ntkcheck.normalizers import couples_samples
from ntkcheck.regime.settings import Experiment
from ntkcheck.regime.theory import NTK_STATISTICS, settled, share_near_zero, stationary

DERIVATIVE_BATCHES = 3  # gradients and close pairs hardly differ from batch to batch of the same network
NTK_NETWORKS = 5


@np.errstate(divide="ignore", invalid="ignore")  # what breaks down is recorded as such
def measure(experiment: Experiment, name: str) -> list[Measurement]:
    """Every quantity of one normaliser at finite width, at the end and through depth."""
    settings, network = experiment.settings, experiment.networks[name]
    batches = jnp.asarray(experiment.batches)
    apply = apply_function(network)
    coupled = couples_samples(network.normalizer, settings.batch_size, settings.width)
    forward, backward, ntks = [], [], []
    for seed in range(settings.seeds):
        key = experiment.key("finite", name, str(seed))
        params = init(key, network, batches.shape[2], settings.width)
        forward.append(forward_through_depth(params, batches, network))
        backward.append(
            derivatives_through_depth(jax.random.fold_in(key, 1), params, batches[:DERIVATIVE_BATCHES], network)
        )
        if seed < NTK_NETWORKS:
            ntks.append(np.asarray(empirical_ntk(apply, params, batches[0], batch_coupled=coupled)))
    ntk = np.stack(ntks)
    correlation = np.stack(
        [np.asarray(run.correlation).reshape(network.depth, -1)[:, : settings.pairs] for run in forward]
    )
    gradient = np.stack([np.asarray(run.gradient) for run in backward])
    gradient_growth = gradient[:, :-1] / gradient[:, 1:]
    by_network = {
        "correlation_slope": [stationary(_growth(run.distance).mean(1)) for run in backward],
        "pair_correlation": correlation[:, -1].mean(1),
        "smallest_correlation": correlation[:, -1].min(1),
        "share_near_zero": share_near_zero(correlation[:, settled(experiment)]),
        "gradient_growth": stationary(gradient_growth),
        "second_moment_growth": [stationary(_growth(run.second_moment)) for run in forward],
        **{quantity: statistic(ntk) for quantity, statistic in NTK_STATISTICS.items()},
    }
    depth = np.arange(1, network.depth + 1)
    through_depth = {
        "correlation_through_depth": series(correlation.mean(2), depth),
        "ntk_off_diagonal_through_depth": series(by_network["ntk_off_diagonal"][:, None], depth[-1:]),
        "gradient_through_depth": series(gradient_growth, depth[:-1]),
    }
    return [
        *(_measurement(quantity, np.asarray(values), settings.width) for quantity, values in by_network.items()),
        *(
            Measurement(quantity, found, f"{found.n} networks of width {settings.width}")
            for quantity, found in through_depth.items()
        ),
    ]


def _measurement(quantity, values, width):
    broken = np.count_nonzero(~np.isfinite(values))
    method = f"{len(values)} networks of width {width}" + (f", not finite in {broken} of them" if broken else "")
    return Measurement(quantity, summarize(values), method)


def _growth(values):
    values = np.asarray(values)
    return values[1:] / values[:-1]
