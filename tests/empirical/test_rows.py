"""Rows of the kernel in chunks and blocks, within a budget of memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck.empirical import empirical_ntk, empirical_ntk_jacobian
from ntkcheck.empirical.linearization import in_turn, trace
from ntkcheck.empirical.memory import Candidate, as_bytes, as_text, first_within, peak_bytes
from ntkcheck.empirical.ntk import _kernel
from ntkcheck.empirical.rows import Split
from ntkcheck.empirical.splits import candidates
from tests.empirical.networks import BATCH, CASES, batch_norm, values

# Two correct routes differ by rounding, as in test_ntk.py; a row left out or counted twice shows at 1e-2 or more.
TOLERANCE = 1e-10
SPLITS = {
    "batch norm": [Split(4, 2), Split(2, 1), Split(1, 4)],
    "scan of layers with batch norm": [Split(2, 2)],
}


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def relative(kernel, reference):
    kernel, reference = np.asarray(kernel), np.asarray(reference)
    return np.linalg.norm(kernel - reference) / np.linalg.norm(reference)


def in_turns(name, split, coupled, output=None):
    case = CASES[name]
    return _kernel(case.apply, *values(case), output, coupled, split, None, "highest")[0]


def oracle(name):
    return empirical_ntk_jacobian(CASES[name].apply, *values(CASES[name]))


@pytest.mark.parametrize("name", SPLITS)
def test_coupled_kernel_is_the_same_in_every_split_of_its_rows(name):
    reference = oracle(name)
    for split in SPLITS[name]:
        kernel = in_turns(name, split, coupled=True)
        assert relative(kernel, reference) < TOLERANCE
        np.testing.assert_array_equal(kernel, kernel.T)


@pytest.fixture
def elsewhere(monkeypatch):
    """As on a device that is no CPU, where pullbacks of convolutions are taken one after the other."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


@pytest.mark.parametrize("split", [Split(4, 1), Split(1, 4), Split(1, 2)])
def test_pullbacks_one_after_the_other_give_the_same_kernel(split, elsewhere):
    case = CASES["convolution with batch norm"]
    anew = lambda params, x: case.apply(params, x)  # noqa: E731 (compiled for once for each function)
    kernel = _kernel(anew, *values(case), None, True, split, None, "highest")[0]
    assert relative(kernel, oracle("convolution with batch norm")) < TOLERANCE


def test_only_convolutions_are_taken_one_after_the_other(elsewhere):
    found = {}
    for name in ("convolution with batch norm", "batch norm"):
        network = trace(CASES[name].apply, *values(CASES[name]))
        found[name] = in_turn(network), candidates(network, 1, devices=1, coupled=True)[0].way.chunk
    assert found == {"convolution with batch norm": (True, 1), "batch norm": (False, BATCH)}


def test_on_a_cpu_pullbacks_are_stacked():
    case = CASES["convolution with batch norm"]
    assert not in_turn(trace(case.apply, *values(case)))


@pytest.mark.parametrize("name", ["ten outputs", "grouped convolution"])
def test_samples_apart_give_the_same_kernel_in_pairs_of_groups(name):
    reference = oracle(name)
    for size in (4, 2):
        assert relative(in_turns(name, Split(size, 1), coupled=False), reference) < TOLERANCE


@pytest.mark.parametrize("coupled", [True, False])
def test_one_output_is_one_term_of_the_trace_over_outputs(coupled):
    terms = [in_turns("NTK parametrisation", Split(2, 1), coupled, output=c) for c in range(2)]
    assert relative(sum(terms), oracle("NTK parametrisation")) < TOLERANCE
    assert relative(terms[0], terms[1]) > 1e-2


def wide(params, x):
    """Memory that is mostly that of its rows."""
    return jax.nn.relu(batch_norm(jax.nn.relu(batch_norm(x @ params[0])) @ params[1])) @ params[2]


def wide_values():
    rng = np.random.default_rng(0)
    shapes = [(20, 300), (300, 300), (300, 1)]
    return [jnp.asarray(rng.standard_normal(shape)) for shape in shapes], jnp.asarray(rng.standard_normal((20, 20)))


def test_kernel_within_a_budget_is_the_same_and_its_program_smaller():
    params, x = wide_values()
    program = vars(_kernel)["program"]()

    def peak(split):
        return peak_bytes(program.lower(wide, params, x, None, True, split, None, "highest").compile())

    largest, smallest = peak(Split(20, 1)), peak(Split(1, 1))
    assert smallest < largest / 1.5
    kernel = empirical_ntk(wide, params, x, memory=(largest + smallest) // 2, batch_coupled=True)
    assert relative(kernel, empirical_ntk(wide, params, x)) < TOLERANCE
    with pytest.raises(ValueError, match=r"`memory` must be at least .*, got .*; raise it, take fewer samples"):
        empirical_ntk(wide, params, x, memory=smallest - 1, batch_coupled=True)


def test_probing_within_a_budget_finds_what_probing_finds():
    for name in ("batch norm", "ten outputs"):
        case = CASES[name]
        kernel = empirical_ntk(case.apply, *values(case), memory="1GB")
        assert relative(kernel, oracle(name)) < TOLERANCE


def test_splits_are_tried_from_large_to_small():
    network = trace(wide, *wide_values())
    for coupled in (True, False):
        found = candidates(network, 1, devices=1, coupled=coupled)
        assert found[0].way == Split(20, 1)
        assert found[-1].way == Split(1, 1)
        estimates = [candidate.estimate for candidate in found]
        assert estimates == sorted(estimates, reverse=True)


class Program:
    """A program of a given size by the compiler's account."""

    def __init__(self, size):
        self.argument_size_in_bytes, self.output_size_in_bytes, self.temp_size_in_bytes = 0, 0, size

    def memory_analysis(self):
        return self


def test_programs_whose_corrected_estimate_is_over_the_budget_are_not_built():
    built = []

    def build(size):
        built.append(size)
        return Program(2 * size)

    ways = [Candidate(size, size) for size in (800, 400, 200, 100, 50)]
    assert peak_bytes(first_within(210, ways, build)) == 200
    assert built == [200, 100]
    with pytest.raises(ValueError, match=r"`memory` must be at least 100 B .* got 99 B"):
        first_within(99, ways, build)


@pytest.mark.parametrize(
    ("text", "size"), [("4GB", 4e9), ("512 MiB", 2**29), (1000, 1000), ("1.5kb", 1500), ("7", 7), (None, None)]
)
def test_memory_is_read_in_the_usual_units(text, size):
    assert as_bytes(text) == size


def test_bytes_are_written_in_the_unit_that_suits_them():
    assert [as_text(size) for size in (12, 1630, 4.3e6, 8e9)] == ["12 B", "1.63 kB", "4.3 MB", "8 GB"]


@pytest.mark.parametrize("memory", ["4 parsecs", "much", "", -1, 0, True, "0.1 B"])
def test_what_is_no_amount_of_memory_is_refused(memory):
    with pytest.raises(ValueError, match="`memory` must be a number of bytes or a text like"):
        as_bytes(memory)


def test_options_that_cannot_be_had_are_refused():
    params, x = wide_values()
    for output in (1, -1):
        with pytest.raises(ValueError, match=f"`output` must be the index of one of 1 outputs.* got {output}"):
            empirical_ntk(wide, params, x, output=output)
    with pytest.raises(ValueError, match="`devices` must name at least one device, got none"):
        empirical_ntk(wide, params, x, devices=[])
    with pytest.raises(ValueError, match="`memory` must be None inside a transformation"):
        jax.jit(lambda x: empirical_ntk(wide, params, x, memory="1GB"))(x)
