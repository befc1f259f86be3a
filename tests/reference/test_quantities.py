"""Activations, gradients, NTK, memory and time of small networks, against what is computed here in another way."""

import contextlib
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck import normalizers, snd
from ntkcheck.empirical import empirical_ntk_jacobian
from ntkcheck.reference import activations, gradients, images, matrix_free, ntk, program, timing
from ntkcheck.reference.case import forward, placed, placed_alone
from ntkcheck.reference.watched import norms
from tests.models.small import small
from tests.reference import use_small_models

ASKED = {"precision": "highest", "device": "cpu"}
NORMALIZERS = ("batch_norm", "none")


@pytest.fixture
def case(monkeypatch):
    return use_small_models(monkeypatch)


def of_images(case, count):
    found = images.load("gaussian", count, case.image, 0)
    return jnp.asarray(found.x), case._asdict() | ASKED | {"data": "gaussian", "inputs": found.digest, "seed": 0}


def found(measurements) -> dict[str, Any]:
    return {m.quantity: m.estimate for m in measurements}


@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_activations_are_those_of_the_sites(case, normalizer):
    case = case._replace(normalizer=normalizer)
    x, parameters = of_images(case, 2 * case.batch)
    measured = found(activations.measure(jax.random.key(0), seeds=2, **parameters))
    outputs = [list(small("vgg", normalizer, seed=i).features(x[: case.batch]).values()) for i in range(2)]
    flat = [[site.reshape(4, -1) for site in sites] for sites in outputs]
    cosines = [[np.mean([_cosine(h[0], h[1]), _cosine(h[2], h[3])]) for h in sites] for sites in flat]
    # Float32 activations; products and means in float64.
    np.testing.assert_allclose(measured["correlation"].value, np.mean(cosines, 0), atol=1e-5)
    largest = [[np.abs(h).max() for h in sites] for sites in flat]
    np.testing.assert_allclose(measured["largest_value"].value, np.mean(largest, 0), rtol=1e-5)
    assert np.all(measured["condition_number"].value >= measured["stable_rank"].value / 3)
    assert np.all(measured["stable_rank"].value >= 1)
    assert ("largest_over_bound" in measured) == (normalizer == "batch_norm")


def _cosine(a, b):
    a, b = (np.asarray(v, np.float64) for v in (a, b))
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_normalised_values_stay_within_their_bound_and_the_disturbance_has_a_scale(case):
    _, parameters = of_images(case, 2 * case.batch)
    measured = found(activations.measure(jax.random.key(0), seeds=2, **parameters))
    places = measured["correlation"].at
    assert np.all(measured["largest_over_bound"].value <= 1)
    np.testing.assert_array_equal(measured["snd"].at, places[:-1])  # logits are not normalised
    # Disturbance is less than the output itself: E |F - E F|^2 <= E |F|^2.
    assert np.all((measured["snd_relative"].value > 0) & (measured["snd_relative"].value < 1))


def test_the_disturbance_of_one_position_is_that_of_the_normaliser():
    """An image of one position is a sample; the batches are the same for the same key."""
    x = np.random.default_rng(0).standard_normal((8, 1, 1, 5)).astype(np.float32)
    plug = next(iter(norms(small("vgg", "batch_norm")).values())).function
    assert plug is not None
    kind = activations._of_images(plug, (1, 1, 5))
    ours = snd.disturbance(kind, x.reshape(8, 5), 4, 8, 8, key=jax.random.key(1))
    theirs = snd.disturbance(normalizers.get("batch_norm", eps=1e-5), x.reshape(8, 5), 4, 8, 8, key=jax.random.key(1))
    assert ours.value == pytest.approx(theirs.value, rel=1e-5)


def test_gradients_are_those_of_the_loss(case):
    x, parameters = of_images(case, case.batch)
    measured = found(gradients.measure(jax.random.key(0), seeds=2, **parameters))
    labels = case.labels(0)

    def loss(model):
        return -jnp.mean(jax.nn.log_softmax(model(x))[jnp.arange(len(x)), labels])

    models = [small("vgg", "batch_norm", seed=i) for i in range(2)]
    gradient = jax.jit(jax.grad(loss))
    of_models = [gradient(model) for model in models]
    first = [np.linalg.norm(g.network.stages[0][0].convolution.weight) for g in of_models]
    assert measured["weight_gradient"].value[0] == pytest.approx(np.mean(first), rel=1e-4)
    total = [np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(g))) for g in of_models]
    assert measured["gradient_norm"].value == pytest.approx(np.mean(total), rel=1e-4)
    # With respect to the logits the gradient of the cross-entropy is (softmax - one-hot) / batch.
    last = [np.linalg.norm(jax.nn.softmax(m(x)) - jax.nn.one_hot(labels, 3)) / len(x) for m in models]
    assert measured["signal_gradient"].value[-1] == pytest.approx(np.mean(last), rel=1e-4)


@pytest.mark.parametrize("logits", ntk.LOGITS)
def test_the_ntk_is_that_of_the_plain_jacobian(case, logits):
    x, parameters = of_images(case, case.batch)
    measured = found(ntk.measure(jax.random.key(0), seeds=2, logits=logits, memory=None, **parameters))

    def apply(model, x):
        return forward("highest")(model, x)[:, :1] if logits == "one" else forward("highest")(model, x)

    kernels = [np.asarray(empirical_ntk_jacobian(apply, small("vgg", "batch_norm", seed=i), x)) for i in range(2)]
    spectra = np.array([np.linalg.eigvalsh(kernel)[::-1] for kernel in kernels])
    # Float32: sums of some thousand products, and ReLU masks of values near 0 (1e-4 of the largest eigenvalue).
    np.testing.assert_allclose(
        measured[f"ntk_{logits}_spectrum"].value, spectra.mean(0), rtol=0, atol=2e-4 * spectra.max()
    )
    share = (spectra[:, 0] / spectra.sum(1)).mean()
    assert measured[f"ntk_{logits}_largest_share"].value == pytest.approx(share, rel=1e-3)
    assert measured[f"ntk_{logits}_mean_diagonal"].value == pytest.approx(spectra.sum(1).mean() / 4, rel=1e-3)


def test_a_budget_that_cannot_be_met_says_what_would(case):
    _, parameters = of_images(case, case.batch)
    with pytest.raises(
        ValueError, match=r"`memory` must be at least .* for this network and batch, got 1 kB; raise it"
    ):
        ntk.measure(jax.random.key(0), seeds=2, logits="one", memory=1000, **parameters)


def test_the_largest_eigenvalue_without_the_kernel_is_that_of_the_kernel(case, monkeypatch):
    monkeypatch.setattr(matrix_free, "PROBES", 64)
    x, parameters = of_images(case, case.batch)
    free = found(matrix_free.measure(jax.random.key(0), logits="all", **parameters))
    kernel = np.asarray(empirical_ntk_jacobian(forward("highest"), small("vgg", "batch_norm", seed=0), x))
    # As many Lanczos steps as samples give the spectrum, up to float32 and masks.
    largest = np.linalg.eigvalsh(kernel)[-1]
    assert free["ntk_all_largest_eigenvalues"].value[0] == pytest.approx(largest, rel=1e-3)
    trace = free["ntk_all_trace"]
    assert abs(trace.value - np.trace(kernel)) <= 4 * trace.sem
    assert abs(trace.value - 2 * np.trace(kernel)) > 4 * trace.sem  # power: a factor 2 would be seen


def test_a_program_has_temporary_memory_and_a_cpu_no_peak_of_its_own(case, monkeypatch):
    model = small("vgg", "batch_norm")
    monkeypatch.setattr(type(case), "shapes", lambda case: jax.eval_shape(lambda: model))
    measured = found(program.measure(jax.random.key(0), **case._asdict(), **ASKED))
    parameters = sum(leaf.nbytes for leaf in jax.tree.leaves(model))
    images = 4 * case.batch * case.image**2 * 3
    assert (
        parameters + images <= measured["argument_bytes"].value <= parameters + images + 4096
    )  # labels, and alignment
    assert measured["temporary_bytes"].value > 0
    assert program.PEAK not in measured


class Device:
    """One whose allocator has an account: each look finds the next peak."""

    device_kind = "made-up accelerator"

    def __init__(self, *peaks):
        self.peaks = iter(peaks)

    def memory_stats(self):
        return {"peak_bytes_in_use": next(self.peaks)}


@pytest.mark.parametrize(("after", "kept"), [(700, {program.PEAK: 700}), (500, {})])
def test_the_peak_of_a_device_is_kept_where_the_step_raised_it(case, monkeypatch, after, kept):
    model, device = small("vgg", "batch_norm"), Device(500, after)
    monkeypatch.setattr(type(case), "shapes", lambda case: jax.eval_shape(lambda: model))
    monkeypatch.setattr(program, "placed", lambda platform: contextlib.nullcontext(device))
    measured = program.account(case, **ASKED)
    assert {name: size for name, size in measured.items() if name == program.PEAK} == kept
    assert {"temporary_bytes", "argument_bytes"} <= measured.keys()


def test_a_device_with_an_account_has_its_peak_counted_in_a_process_of_its_own(case, monkeypatch):
    # The child that the machinery starts, with a made-up account in place of the step's.
    child = (
        "import json, os, sys; from ntkcheck.reference import program; "
        "program.account = lambda size, precision, device: {'temporary_bytes': size.batch, 'argument_bytes': 2, "
        "program.PEAK: os.getpid() if os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'] == 'false' else 0}; program.answer()"
    )
    monkeypatch.setattr(program, "_CHILD", child)
    monkeypatch.setattr(program, "first_device", lambda platform: Device(10**9))  # whatever this process has had in use
    measured = found(program.measure(jax.random.key(0), **case._asdict(), **ASKED))
    assert measured["temporary_bytes"].value == case.batch
    assert measured[program.PEAK].value not in (0, 10**9, os.getpid())
    monkeypatch.setattr(program, "_CHILD", "raise SystemExit('RESOURCE_EXHAUSTED: out of memory')")
    with pytest.raises(RuntimeError, match=r"of its own \(RESOURCE_EXHAUSTED: out of memory\); .*PREALLOCATE=false"):
        program.measure(jax.random.key(0), **case._asdict(), **ASKED)


def test_times_are_positive_and_the_median_lies_among_them(case):
    measured = found(timing.measure(jax.random.key(0), repetitions=3, **case._asdict(), **ASKED))
    for name in ("forward", "training_step"):
        seconds = measured[f"{name}_seconds"].value
        assert len(seconds) == 3
        assert 0 < seconds.min() <= measured[f"{name}_median"].value <= seconds.max()
        assert 0 <= measured[f"{name}_spread"].value <= np.ptp(seconds)


def test_a_measurement_leaves_no_compiled_programs_behind():
    add_one = jax.jit(lambda x: x + 1)
    with placed("cpu"):  # power: for many small trainings of one model they are kept
        add_one(1.0)
    assert add_one._cache_size() == 1
    with placed_alone("cpu"):
        add_one(1.0)
        assert add_one._cache_size() == 1
    assert add_one._cache_size() == 0
