"""The checks that train convolutional networks: arithmetic on made-up trainings, and the gradient's scaling on a real network."""

import numpy as np
import pytest
from typer.testing import CliRunner

from ntkcheck import claims
from ntkcheck.claims import __main__, training
from ntkcheck.measurement import Measurement, Series
from ntkcheck.regime import Experiment, Settings
from ntkcheck.stats import Estimate
from ntkcheck.store import Store, reference
from ntkcheck.training import published, task
from ntkcheck.training.networks import LAST
from ntkcheck.training.outcome import measure
from tests.store import record

SEEDS = 4


@pytest.fixture(autouse=True)
def nothing_shipped(monkeypatch):
    monkeypatch.setattr("ntkcheck.published.records", dict)


def evidence(data=None):
    experiment = Experiment(Settings(), {}, np.zeros((1, 2, 2)), "none")
    return claims.Evidence(Store(":memory:"), experiment, measures=False, data=data)


def add(evidence, cell, **quantities):
    """A made-up training of these numbers and curves."""
    found = [Measurement(name, _estimate(value), "made up") for name, value in quantities.items()]
    evidence.store.add(record(measurements=found, function=reference(measure), parameters=cell))


def known(answers: dict[str, Estimate | None], name: str) -> Estimate:
    """An answer that is there."""
    found = answers[name]
    assert found is not None
    return found


def _estimate(value):
    if np.ndim(value):
        return Series(np.array(value, float), np.zeros(len(value)), 0, np.arange(len(value), dtype=float))
    return Estimate(float(value), 0.0, 0)


def test_the_gradient_shrinks_as_readout_weights_grow_behind_the_last_batch_norm_and_not_without_it():
    claim = claims.load()["MN-9"]
    bounds = next(test for test in claim.tests if test.name == "gradient_exponent")
    assert bounds.low <= training.gradient_exponent(LAST) <= bounds.high
    assert not bounds.low <= training.gradient_exponent("none") <= bounds.high


def curve(surge=5.0, settled=1.0):
    values = np.ones(200)
    values[20] = surge
    values[150:] = 3.0
    values[-1] = 3.0 * settled
    return values


def trained_at_full_size(straight, last, **shape):
    found = evidence()
    for model in published.TUNED_MODELS:
        for seed in range(published.SEEDS):
            for rate in (0.01, 0.1):
                cell = published.tuned(model, "none", rate, seed, "gpu")
                add(found, cell, diverged=straight, output_variance=curve())
            cell = published.tuned(model, LAST, 0.1, seed, "gpu")
            add(found, cell, diverged=last, output_variance=curve(**shape))
    return found


def verdict(id, answers):
    return claims.verdicts({id: claims.load()[id]}, {id: answers})[id].verdict


@pytest.fixture
def many_seeds(monkeypatch):
    """As many as shares of them take to be known within 0.1."""
    monkeypatch.setattr(published, "SEEDS", 150)


def test_trainings_as_the_paper_has_them_support_that_the_last_batch_norm_tunes_the_rate(many_seeds):
    answers = training.mn_9(trained_at_full_size(1, 0))
    assert {test.name for test in claims.load()["MN-9"].tests} == answers.keys()
    assert known(answers, "diverged_vgg_11").value == 1
    assert known(answers, "output_variance_surge").value == pytest.approx(np.log(5))
    assert known(answers, "output_variance_settles").value == pytest.approx(0)
    assert verdict("MN-9", answers) == "supported"


@pytest.mark.parametrize(
    "wrong", [{"straight": 0}, {"last": 1}, {"surge": 1.5, "settled": 0.4}, {"settled": 3.0}, {"surge": np.nan}]
)
def test_other_trainings_do_not_support_it(wrong, many_seeds):
    answers = training.mn_9(trained_at_full_size(**({"straight": 1, "last": 0} | wrong)))
    assert verdict("MN-9", answers) != "supported"


def test_five_seeds_that_agree_do_not_settle_a_share():
    answers = training.mn_9(trained_at_full_size(1, 0))
    share = known(answers, "diverged_vgg_11")
    x = np.linspace(0, 1, 100001)  # the posterior of five of five under a uniform prior, density 6 x^5
    mean = np.trapezoid(6 * x**6, x)
    assert share.sem == pytest.approx(np.trapezoid(6 * x**5 * (x - mean) ** 2, x) ** 0.5, rel=1e-6)
    assert verdict("MN-9", answers) == "inconclusive"


def test_without_records_of_a_gpu_only_the_gradient_is_answered():
    answers = training.mn_9(evidence())
    assert {name for name, answer in answers.items() if answer is not None} == {"gradient_exponent"}


def add_small(found, normalizer, accuracies, **options):
    for seed, accuracy in enumerate(accuracies):
        moved = {"scale_displacement": 0.1 + 0.01 * seed, "shift_displacement": 0.05, "weight_displacement": 0.5}
        add(found, published.small(normalizer, seed, **options), test_accuracy=accuracy, **moved)


def test_displacements_are_means_over_seeds_and_full_size_ones_stand_beside_them():
    found = evidence()
    add_small(found, "batch_norm", [0.9] * SEEDS)
    answers = training.rb_2(found, seeds=SEEDS)
    assert known(answers, "scale_displacement").value == pytest.approx(0.115)
    assert known(answers, "over_weights").value == pytest.approx(0.23)
    assert known(answers, "scale_displacement").n == SEEDS
    assert answers["scale_displacement_resnet_18"] is None
    for seed in range(published.PAIRED_SEEDS):
        cell = published.paired("batch_norm", seed, "gpu")
        add(found, cell, scale_displacement=0.3, shift_displacement=0.0, weight_displacement=0.6)
    assert known(training.rb_2(found, seeds=SEEDS), "over_weights_resnet_18").value == 0.5


def test_gains_are_paired_by_seed_and_in_points():
    found, base = evidence(), np.array([0.90, 0.92, 0.94, 0.96])
    add_small(found, "batch_norm", base)
    add_small(found, "scaled_batch_norm", base + np.array([0.01, 0.02, 0.01, 0.02]))
    add_small(found, "scaled_batch_norm", base, scale_rate=1.0)
    answers = training.rb_4(found, seeds=SEEDS)
    assert known(answers, "gain_small").value == pytest.approx(1.5)
    # The differences deviate by 1/sqrt(3) points; unpaired, the accuracies' own deviation would make it four times as large.
    assert known(answers, "gain_small").sem == pytest.approx(1 / 3**0.5 / 2)
    assert answers["gain_scale_alone"] == Estimate(0.0, 0.0, SEEDS)
    assert answers["gain_full_size"] is None


def test_a_missing_seed_is_a_missing_answer():
    found = evidence()
    add_small(found, "batch_norm", [0.9] * (SEEDS - 1))
    assert set(training.rb_2(found, seeds=SEEDS).values()) == {None}


def test_batch_norm_on_raw_inputs_is_compared_with_standardised_and_with_raw_ones():
    found, base = evidence(), np.array([0.90, 0.92, 0.94, 0.96])
    add_small(found, "batch_norm", base)
    add_small(found, "batch_norm", base - 0.02, inputs="batch_norm")
    add_small(found, "batch_norm", base - 0.05, inputs="raw")
    answers = training.rb_5(found, seeds=SEEDS)
    assert known(answers, "difference").value == pytest.approx(-2)
    assert known(answers, "gain_over_raw").value == pytest.approx(3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data of a hundred classes, two images each."""
    path = tmp_path_factory.mktemp("data") / "hundred.npz"
    labels = np.repeat(np.arange(100), 2)
    x = np.random.default_rng(0).integers(0, 256, (200, 12))
    np.savez(path, x=x, y=labels, x_test=x, y_test=labels)
    return str(path)


def test_accuracy_on_cifar_100_is_answered_from_trainings_on_the_data_that_are_given(folder):
    found = evidence(folder)
    for model, gain in (("vgg11", 0.001), ("resnet18", -0.02)):
        for seed in range(3):
            add(found, published.cifar(model, "batch_norm", seed, folder), test_accuracy=0.7)
            add(found, published.cifar(model, "mimic_norm", seed, folder), test_accuracy=0.7 + gain)
    answers = training.mn_11(found)
    assert known(answers, "difference_vgg_11_cifar_100").value == pytest.approx(0.1)
    assert known(answers, "difference_resnet_18_cifar_100").value == pytest.approx(-2)
    assert verdict("MN-11", answers) == "refuted"
    assert set(training.in_11(found).values()) == {None}, "it asks for ten classes"


def test_whitening_on_cifar_10_is_asked_for_with_groups_of_16():
    found = evidence("digits")
    for depth, gain in ((28, 0.008), (40, 0.005)):
        for seed in range(3):
            model = f"wide_resnet{depth}_10"
            add(found, published.cifar(model, "batch_norm", seed, "digits"), test_accuracy=0.9)
            whitened = published.cifar(model, "iter_norm", seed, "digits", group_size=16)
            add(found, whitened, test_accuracy=0.9 + gain)
    answers = training.in_11(found)
    assert known(answers, "gain_wrn_28_10").value == pytest.approx(0.8)
    assert known(answers, "printed_gain_wrn_40_10").value == pytest.approx(0.5)
    assert {test.name for test in claims.load()["IN-11"].tests} == answers.keys()
    assert verdict("IN-11", answers) == "supported"


@pytest.mark.parametrize("check", [training.mn_11, training.in_11])
def test_claims_that_need_data_are_unanswered_without(check):
    assert set(check(evidence()).values()) == {None}


def test_recipes_are_those_that_the_claims_say():
    digits = task.load("digits", 8, "standardized")
    per_epoch = len(digits.train) // published.BATCH
    assert per_epoch * 30 == published.SMALL_STEPS
    assert per_epoch * 15 == published.PAIRED_STEPS
    assert len(published.all_tuned("gpu")) == 2 * 3 * 5 * 5
    assert len(published.all_paired("gpu")) == 2 * 15
    assert published.paired("scaled_batch_norm", 0, "gpu")["scale_rate"] == 0.01
    assert published.CIFAR_STEPS == 50_000 // 128


def test_the_command_passes_the_data_on_and_refuses_what_is_not_there(tmp_path, monkeypatch, folder):
    seen = []
    monkeypatch.setattr(training, "mn_11", lambda evidence: seen.append(evidence.data) or {})
    asked = ["--store", str(tmp_path / "s.db"), "check", "MN-11", "--data"]
    assert CliRunner().invoke(__main__.app, [*asked, folder]).exit_code == 0
    assert seen == [folder]
    refused = CliRunner().invoke(__main__.app, [*asked, str(tmp_path / "absent")])
    assert refused.exit_code == 2
    assert "`data` must name what exists, got" in " ".join(refused.stderr.split())
