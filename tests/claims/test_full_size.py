"""The answers that rest on full-size models, from made-up records: arithmetic, what decides, and what a missing record does."""

from typing import Any

import numpy as np
import pytest

from ntkcheck import claims
from ntkcheck.claims import full_size
from ntkcheck.claims.full_size import BATCH_NORMALIZED, CONDITIONED, KINDS
from ntkcheck.measurement import Measurement, Series
from ntkcheck.reference import activations, ntk
from ntkcheck.reference.experiment import prepare
from ntkcheck.reference.settings import Settings
from ntkcheck.regime import Experiment
from ntkcheck.regime import Settings as RegimeSettings
from ntkcheck.stats import Estimate
from ntkcheck.store import Store, reference
from tests.store import record

NETWORKS = 4
QUIET = 1e-4  # standard errors of made-up means


@pytest.fixture(autouse=True)
def _nothing_shipped(monkeypatch):
    """Only made-up records are found."""
    monkeypatch.setattr("ntkcheck.published.records", dict)


def evidence(path=":memory:"):
    experiment = Experiment(RegimeSettings(), {}, np.zeros((1, 2, 2)), "none")
    return claims.Evidence(Store(path), experiment, measures=True)


def add(found, function, parameters, **quantities):
    measurements = [Measurement(name, estimate, "made up") for name, estimate in quantities.items()]
    found.store.add(record(measurements=measurements, function=reference(function), parameters=parameters))


def places(*values, at=None, sem=QUIET):
    """A series over places, of four networks."""
    return Series(
        np.array(values, float), np.full(len(values), sem), NETWORKS, np.array(at or range(1, len(values) + 1))
    )


def add_activations(found, model, normalizer, form="cifar", **quantities):
    add(found, activations.measure, full_size.activations_parameters(model, normalizer, form), **quantities)


def add_ntk(found, model, normalizer, **quantities):
    add(found, ntk.measure, full_size.ntk_parameters(model, normalizer), **quantities)


def verdict_of(id, name, estimate):
    """A claim's verdict where every other stated test is inside its bounds, and this test is answered so."""
    claim = claims.load()[id]
    stated = {test.name: Estimate(_inside(test), 0.0, 0) for test in claim.tests if not test.weaker}
    return claims.verdicts({id: claim}, {id: stated | {name: estimate}})[id].verdict


def _inside(test):
    ends = [end for end in (test.low, test.high) if np.isfinite(end)]
    return ends[0] + (1 if test.low > -np.inf else -1) if len(ends) == 1 else sum(ends) / 2


def known(answers: dict[str, Estimate | None], name: str) -> Estimate:
    """An answer that is there."""
    found = answers[name]
    assert found is not None
    return found


ANSWERS = {
    "MN-5": full_size.pair_correlations,
    "MN-9": full_size.spectrum_ratios,
    "RB-1": full_size.largest_values,
    "IN-6": full_size.conditioning,
    "LT-3": full_size.sharpness,
}


@pytest.mark.parametrize("id", ANSWERS)
def test_without_records_the_tests_have_no_answer_and_nothing_is_measured(id):
    answers = ANSWERS[id](evidence())
    tests = {test.name: test for test in claims.load()[id].tests}
    assert answers.keys() <= tests.keys()
    assert all(tests[name].weaker for name in answers)
    assert set(answers.values()) == {None}


@pytest.mark.parametrize(
    ("what", "seeds", "parameters"),
    [
        ("activations", 8, lambda: full_size.activations_parameters("resnet18", "batch_norm", "cifar")),
        ("ntk", 16, lambda: full_size.ntk_parameters("resnet18", "batch_norm")),
    ],
)
def test_records_are_those_of_the_reference_command(what, seeds, parameters):
    chosen = {"models": ("resnet18",), "normalizers": ("batch_norm",), "form": "cifar", "what": (what,)}
    cells = prepare(Settings(**chosen, device="cpu", seeds=seeds)).cells
    assert cells[0].parameters == parameters()


def correlated(**last):
    """Evidence of mean correlations 0.9 to begin with and 0.5 at the logits, and between them, at the last hidden place, `last`."""
    found = evidence()
    for models in KINDS.values():
        for model in models:
            for normalizer in ("batch_norm", "mimic_norm"):
                add_activations(found, model, normalizer, correlation=places(0.9, last.get(model, 0.01), 0.5))
    return found


def test_correlations_are_those_of_the_last_hidden_place_of_the_worse_model():
    answers = full_size.pair_correlations(correlated(vgg11=-0.15, vgg16=0.1, resnet50=0.3))
    assert answers["correlation_straight_batch_norm"] == Estimate(-0.15, QUIET, NETWORKS)
    assert answers["correlation_residual_mimic_norm"] == Estimate(0.3, QUIET, NETWORKS)
    assert (
        verdict_of("MN-5", "correlation_straight_batch_norm", answers["correlation_straight_batch_norm"]) == "supported"
    )
    # Power: neither the logits' 0.5 nor a model outside passes.
    assert (
        verdict_of("MN-5", "correlation_residual_mimic_norm", answers["correlation_residual_mimic_norm"]) == "qualified"
    )


def spectra(found, model, **largest):
    """Largest eigenvalue and its share of the trace by normaliser."""
    for normalizer, (eigenvalue, share) in largest.items():
        spectrum = places(eigenvalue, 1.0, 0.1, sem=0.01 * eigenvalue)
        add_ntk(
            found, model, normalizer, ntk_one_spectrum=spectrum, ntk_one_largest_share=Estimate(share, 0.001, NETWORKS)
        )


def test_the_largest_eigenvalues_are_compared_by_logarithms():
    found = evidence()
    spectra(found, "vgg11", none=(1e4, 0.9), mimic_norm=(100.0, 0.1))
    spectra(found, "resnet18", none=(100.0, 0.9), mimic_norm=(1e4, 0.1))
    answers = full_size.spectrum_ratios(found)
    below = known(answers, "log_spectrum_ratio_vgg_11")
    assert below.value == pytest.approx(-2)
    # Two relative errors of 1% each: 0.01 sqrt(2) / log 10.
    assert below.sem == pytest.approx(0.01 * 2**0.5 / np.log(10))
    assert below.n == NETWORKS
    assert verdict_of("MN-9", "log_spectrum_ratio_vgg_11", below) == "supported"
    above = answers["log_spectrum_ratio_resnet_18"]  # power
    assert verdict_of("MN-9", "log_spectrum_ratio_resnet_18", above) == "qualified"


SHARES = {"none": 0.5, "mimic_norm": 0.05, "batch_norm": 0.4, "layer_norm": 0.5}


def sharp(**changed):
    found = evidence()
    for model in ("vgg11", "resnet18"):
        spectra(found, model, **{name: (1.0, share) for name, share in (SHARES | changed).items()})
    return full_size.sharpness(found)


@pytest.mark.parametrize(
    ("changed", "test"),
    [
        ({"none": 0.1}, "none"),
        ({"mimic_norm": 0.2}, "last_layer"),
        ({"batch_norm": 0.2}, "middle_layers_over_none"),
        ({"layer_norm": 0.2}, "layer_norm_over_none"),
    ],
)
def test_shares_of_the_trace_are_brought_to_the_mean_eigenvalue_and_a_wrong_one_is_outside(changed, test):
    right, wrong = sharp(), sharp(**changed)
    for name in ("vgg_11", "resnet_18"):
        assert verdict_of("LT-3", f"{test}_{name}", right[f"{test}_{name}"]) == "supported"
        assert verdict_of("LT-3", f"{test}_{name}", wrong[f"{test}_{name}"]) == "qualified"
    assert right["none_vgg_11"] == Estimate(16.0, 0.032, NETWORKS)
    assert known(right, "middle_layers_over_none_vgg_11").value == pytest.approx(0.8)


def large(changed: dict[str, Any] | None = None):
    """Largest values 5 to 7 at three BatchNorms, and 0.5 at the logits, which are not normalised."""
    found = evidence()
    for model, form in BATCH_NORMALIZED:
        quantities = {
            "largest_value": places(5, 6, 7, 0.5),
            "largest_over_bound": places(0.1, 0.2, 0.3),
        }
        add_activations(found, model, "batch_norm", form, **quantities | (changed or {} if model == "vgg16" else {}))
    return full_size.largest_values(found)


def test_the_least_of_the_largest_values_leaves_the_logits_out():
    answers = large()
    assert answers["largest_full_size"] == Estimate(5.0, QUIET, NETWORKS)
    assert answers["over_bound_full_size"] == Estimate(0.3, QUIET, NETWORKS)
    assert verdict_of("RB-1", "largest_full_size", answers["largest_full_size"]) == "supported"
    assert verdict_of("RB-1", "over_bound_full_size", answers["over_bound_full_size"]) == "supported"


def test_one_place_of_one_model_is_enough_to_be_outside():
    small = large({"largest_value": places(5, 2.9, 7, 0.5)})["largest_full_size"]
    assert verdict_of("RB-1", "largest_full_size", small) == "qualified"
    beyond = large({"largest_over_bound": places(0.1, 1.01, 0.3)})["over_bound_full_size"]
    assert verdict_of("RB-1", "over_bound_full_size", beyond) == "qualified"


def conditioned(factor, rank):
    """Condition numbers of BatchNorm times a factor, and stable ranks, at three places; the first condition number is infinite."""
    found = evidence()
    for model, form in CONDITIONED.values():
        for normalizer, scale, stable in (("batch_norm", 1.0, 2.0), ("iter_norm", factor, 2.0 * rank)):
            condition = places(np.inf, 100 * scale, 1000 * scale, 1e9, sem=scale)
            condition.sem[0] = np.nan
            add_activations(
                found,
                model,
                normalizer,
                form,
                condition_number=condition,
                stable_rank=places(stable, stable, 2 * stable, 1.0, sem=0.02),
                largest_over_bound=places(0.1, 0.1, 0.1),
            )
    return full_size.conditioning(found)


def test_conditioning_is_compared_place_by_place_where_it_is_finite_and_normalised():
    answers = conditioned(0.1, 3.0)
    log_ratio, rank = (known(answers, f"{name}_wrn_28_10") for name in ("log_condition_ratio", "stable_rank_ratio"))
    assert log_ratio.value == pytest.approx(-1)
    assert rank.value == pytest.approx(3)
    # Relative errors of 1% and of 0.1% on both sides at the two places: the mean of the two, not their combination.
    assert log_ratio.sem == pytest.approx((0.01 + 0.001) / 2 * 2**0.5 / np.log(10))
    assert log_ratio.n == NETWORKS
    assert verdict_of("IN-6", "log_condition_ratio_wrn_28_10", log_ratio) == "supported"
    assert verdict_of("IN-6", "stable_rank_ratio_wrn_28_10", rank) == "supported"


def test_worse_conditioning_at_full_size_is_outside():
    answers = conditioned(10.0, 0.3)
    for name in ("log_condition_ratio_resnet_18", "stable_rank_ratio_resnet_18"):
        assert verdict_of("IN-6", name, answers[name]) == "qualified"


def test_condition_numbers_that_are_nowhere_finite_are_no_answer():
    found = evidence()
    for normalizer in ("batch_norm", "iter_norm"):
        add_activations(
            found,
            "wide_resnet28_10",
            normalizer,
            condition_number=places(np.inf, np.inf),
            largest_over_bound=places(0.1, 0.1),
        )
    assert full_size.conditioning(found)["log_condition_ratio_wrn_28_10"] is None
