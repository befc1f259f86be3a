"""The checks of claims about training small dense networks: from a run's evidence to the estimates that the tests name."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from ntkcheck.claims.cells import over_sets, values
from ntkcheck.claims.evidence import Answers, Evidence
from ntkcheck.measurement import summarize
from ntkcheck.stats import Estimate
from ntkcheck.store import Record
from ntkcheck.training.centring import centring_routes
from ntkcheck.training.disturbance import disturbance_and_loss


class Setting(NamedTuple):
    """A normaliser at a batch size, as `disturbance_and_loss` takes it."""

    normalizer: str
    batch_size: int
    group_size: int = 1
    iterations: int = 0


BATCHES = (8, 16, 32, 64, 128, 256)
BATCH_NORM = tuple(Setting("batch_norm", m) for m in (2, 4, *BATCHES))
SETTINGS = (
    *BATCH_NORM[2:],
    *(Setting("zca", m, g) for g in (4, 16) for m in BATCHES if m > g),
    *(Setting("iter_norm", m, g, T) for g in (4, 16) for T in (3, 5, 7) for m in BATCHES),
)


def mn_8(evidence: Evidence, networks: int = 5, steps: int = 20) -> Answers:
    """Centred weights against centred gradients: SGD and Adam from centred weights, SGD from others."""
    runs = {
        name: evidence.obtain(
            centring_routes,
            optimizer=optimizer,
            centred_start=centred_start,
            networks=networks,
            batch_size=64,
            steps=steps,
            seed=evidence.experiment.settings.seed,
        )
        for name, optimizer, centred_start in (
            ("sgd", "sgd", True),
            ("adam", "adam", True),
            ("uncentred", "sgd", False),
        )
    }
    distances = {name: over_sets(np.asarray, values(record, "distance")) for name, record in runs.items()}
    return {
        "sgd_distance": distances["sgd"],
        "sgd_mean_of_weights": over_sets(np.asarray, values(runs["sgd"], "mean_of_weights")),
        "adam_distance": distances["adam"],
        "uncentred_start_distance": distances["uncentred"],
    }


def in_9(evidence: Evidence) -> Answers:
    """Rank correlations of SND at initialisation with final losses over settings, seed by seed."""
    seed = evidence.experiment.settings.seed
    batch_norm, every = (
        [evidence.obtain(disturbance_and_loss, **cell(setting, seed)) for setting in settings]
        for settings in (BATCH_NORM, SETTINGS)
    )
    return {
        "rank_correlation_test_loss": rank_correlation(batch_norm, "test_loss"),
        "rank_correlation_training_loss": rank_correlation(batch_norm, "training_loss"),
        "rank_correlation_all": rank_correlation(every, "test_loss"),
    }


def cell(setting: Setting, seed: int = 0) -> dict[str, Any]:
    """The parameters under which a setting is measured."""
    return {**setting._asdict(), "epochs": 15, "rate": 0.1, "seeds": 10, "seed": seed}


def rank_correlation(settings: Sequence[Record | None], loss: str) -> Estimate | None:
    """Spearman's correlation of SND and a loss over settings, mean over seeds; None where a setting was not measured."""
    found = [(values(record, "snd"), values(record, loss)) for record in settings]
    present = [pair for pair in found if pair[0] is not None and pair[1] is not None]
    if len(present) < len(found):
        return None
    disturbance, losses = (np.where(np.isfinite(x), x, np.inf) for x in np.moveaxis(np.array(present, float), 1, 0))
    return summarize(np.array([stats.spearmanr(*pair)[0] for pair in zip(disturbance.T, losses.T, strict=True)]))
