"""What is shipped with the package is what was measured, of functions that still exist, on named hardware."""

import inspect

import pytest

from ntkcheck import claims, published
from ntkcheck.regime import Settings, prepare
from ntkcheck.store import Store, resolve
from ntkcheck.training import outcome
from ntkcheck.training.published import paired


def test_shipped_records_are_of_functions_that_take_their_parameters():
    assert len(published.records()) > 200
    for record in published.records().values():
        inspect.signature(resolve(record.function)).bind(None, **record.parameters)
        device = record.provenance["device"]
        assert "NVIDIA" in device if record.parameters["device"] == "gpu" else device == "cpu"
        assert "dirty" not in record.provenance["revision"]
        assert not record.failure


@pytest.fixture
def evidence(tmp_path):
    with Store(tmp_path / "store.db") as store:
        yield claims.Evidence(store, prepare(Settings()), measures=False)


def test_a_check_finds_them_and_the_store_keeps_them(evidence):
    cell = paired("batch_norm", 0, "gpu")
    record = evidence.found(outcome.measure, **cell)
    assert record.find("test_accuracy").value > 0.5
    assert evidence.store.find(record.key).find("test_accuracy") == record.find("test_accuracy")
    assert record.key in evidence.used
    assert evidence.obtain(outcome.measure, **cell).key == record.key


def test_what_nobody_measured_is_not_found(evidence):
    assert evidence.found(outcome.measure, **paired("batch_norm", 10**6, "gpu")) is None
    assert evidence.obtain(outcome.measure, **paired("batch_norm", 10**6, "gpu")) is None
    assert not evidence.used
