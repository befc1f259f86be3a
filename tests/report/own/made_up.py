"""The check of made_up.toml's claims: what its parameters say."""

from ntkcheck.stats import Estimate
from ntkcheck.store import Record
from tests.report import snd_record


def stated(evidence, stated=1.0, weaker=None, sem=0.0):
    """Estimates with the given values; a noisy one rests on a stored measurement."""
    if sem:
        used: Record = snd_record(8)
        evidence.used[used.key] = used
    answers = {"stated": stated, "weaker": weaker}
    return {name: Estimate(value, sem, 10 if sem else 0) for name, value in answers.items() if value is not None}
