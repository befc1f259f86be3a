"""The checks that rest on full-size models and on the last layer's normalisation."""

import math

import numpy as np
import pytest

from ntkcheck import claims, meanfield
from ntkcheck.claims import reference
from ntkcheck.regime import Experiment, Settings
from ntkcheck.stats import Estimate
from ntkcheck.store import Store
from ntkcheck.sweep import measure_cell


@pytest.fixture(autouse=True)
def nothing_shipped(monkeypatch):
    monkeypatch.setattr("ntkcheck.published.records", dict)


@pytest.fixture
def evidence():
    """Without networks: these checks ask for their own measurements, which are those that the store has."""
    return claims.Evidence(Store(":memory:"), Experiment(Settings(), {}, np.zeros((1, 2, 2)), "none"), measures=False)


@pytest.fixture
def few(monkeypatch):
    """Three of the eleven printed models, those that have tests of their own."""
    rows = tuple(
        row for row in reference.PRINTED if row.model in ("resnet18", "resnet50") and row[:2] != ("resnet50", "cifar")
    )
    monkeypatch.setattr(reference, "PRINTED", rows)
    return rows


def value(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.value


def test_memory_is_answered_by_shapes_and_programs_are_missing_until_measured(evidence, few):
    for row in few:
        for normalizer in ("batch_norm", "mimic_norm"):
            case = reference._case(row.model, row.form, normalizer)
            evidence.store.add(measure_cell(reference.residuals.measure, case._asdict()))
    answers = reference.mn_10(evidence)
    singles = [
        answers[f"residuals_{name}"] for name in ("resnet_50_imagenet", "resnet_18_imagenet", "resnet_18_cifar_100")
    ]
    assert value(answers["residuals_geometric_mean"]) == pytest.approx(math.prod(map(value, singles)) ** (1 / 3))
    assert all(0.3 < value(single) < 1 for single in singles)
    assert answers["temporary_resnet_50_imagenet"] is None
    assert {test.name for test in claims.load()["MN-10"].tests} <= answers.keys()
    assert len(evidence.used) == 6


def test_without_measurements_memory_is_untested(evidence):
    assert set(reference.mn_10(evidence).values()) == {None}


def test_the_checks_answer_every_test_of_the_ledger(evidence):
    answers = reference.lt_3(evidence)
    claim = claims.load()["LT-3"]
    assert {test.name for test in claim.tests} == answers.keys()
    assert claims.verdicts({"LT-3": claim}, {"LT-3": answers})["LT-3"].verdict != "untested"
    # The constant vector's: of inputs of equal length, by the norm of the kernel.
    x = evidence.generator("LT-3").standard_normal((64, 784))
    x *= 28 / np.linalg.norm(x, axis=1, keepdims=True)
    ntk = np.asarray(meanfield.propagate(x, 3, "none", "relu", 2**0.5).ntk)
    assert value(answers["none"]) == pytest.approx(np.linalg.norm(ntk, 2) / np.diag(ntk).mean(), rel=1e-9)


def test_the_last_layers_ntk_is_theta_between_two_projections():
    """J = (I - 1 1^T / B - f_hat f_hat^T / B) / sigma, by hand."""
    rng, B = np.random.default_rng(0), 7
    root = rng.standard_normal((B, B + 2))
    nngp, ntk = root @ root.T, np.diag(rng.random(B)) + 1
    (ours,) = reference._last_layer(np.random.default_rng(1), nngp, ntk, 1)
    f = np.random.default_rng(1).multivariate_normal(np.zeros(B), nngp, 1, method="eigh")[0]
    f_hat = (f - f.mean()) / f.std()
    J = (np.eye(B) - 1 / B - np.outer(f_hat, f_hat) / B) / f.std()
    np.testing.assert_allclose(ours, J @ ntk @ J.T, atol=1e-12 * np.abs(ours).max())


def test_a_constant_kernel_is_as_sharp_as_can_be_and_the_identity_is_not():
    assert reference._sharpness(np.ones((5, 5))) == pytest.approx(5)
    assert reference._sharpness(np.eye(5)) == pytest.approx(1)
