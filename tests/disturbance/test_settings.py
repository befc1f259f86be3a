"""Every option is checked before anything is measured, and the message says what would do."""

import re
from dataclasses import replace

import numpy as np
import pytest

from ntkcheck.disturbance import Settings, prepare
from tests.disturbance import OWN_BATCH_NORM, TINY, experiment


def refused(message, error=ValueError, **changes):
    with pytest.raises(error, match=message):
        prepare(replace(TINY, **changes))


@pytest.mark.parametrize(
    ("option", "attribute", "value", "least"),
    [
        ("batch_size", "batch_sizes", 1, 2),
        ("batch_size", "batch_sizes", 2.5, 2),
        ("features", "features", 0, 1),
        ("group_size", "group_sizes", 0, 1),
        ("groups", "groups", 0, 1),
        ("iterations", "iterations", 0, 1),
        ("iterations", "iterations", True, 1),
    ],
)
def test_a_list_with_a_number_that_is_too_small_is_refused(option, attribute, value, least):
    message = rf"`{option}` must be a whole number, at least {least} \(.*\), got {value}; try {least} or more"
    refused(message, **{attribute: (8, value)})


@pytest.mark.parametrize("option", ["anchors", "draws", "samples"])
def test_counts_below_two_are_refused(option):
    refused(rf"`{option}` must be a whole number, at least 2 \(.*\), got 1; try 2", **{option: 1})


def test_lists_have_something_and_nothing_twice():
    refused("`batch_size` must be given once at least, got none; leave the option out", batch_sizes=())
    refused("`population` must be given once at least, got none", populations=())
    refused("`iterations` must give every value once, got 3 twice; drop one", iterations=(3, 5, 3))
    refused("`normalizer` must give every value once, got 'zca' twice", normalizers=("zca", "zca"))
    refused(
        "`normalizer` must give every name once, got 'batch_norm' twice", normalizers=("batch_norm", "x.py:batch_norm")
    )


def test_unknown_names_are_refused_with_the_nearest_known():
    refused(
        r"`normalizer` must be one of batch_norm, .*got 'batchnorm'; did you mean 'batch_norm'",
        normalizers=("batchnorm",),
    )
    refused("`population` must be one of gaussian, .*got 'gausian'; did you mean 'gaussian'", populations=("gausian",))
    refused("`design` must be one of shared, anchored, got 'share'; did you mean 'shared'", design="share")


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_out_of_range_are_refused(seed):
    refused(rf"`seed` must be a whole number from 0 to 2 \*\* 63 - 1, got {seed}", seed=seed)


@pytest.mark.parametrize("name", ["zca", "pca", "cholesky"])
def test_batches_no_larger_than_the_group_are_refused(name):
    message = rf"`{name}` needs more samples in a batch than features in a group, got a `batch_size` of 4 for a `group_size` of 4; "
    refused(message + "raise the one or lower the other", normalizers=(name,), batch_sizes=(4,), group_sizes=(4,))


def test_what_only_some_batches_are_too_small_for_is_left_out_and_said():
    found = experiment(normalizers=("zca", "iter_norm"), group_sizes=(2, 4))
    cells = {(cell.line.normalizer, cell.line.group_size, cell.batch_size) for cell in found.cells}
    assert ("zca", 4, 4) not in cells
    assert {("zca", 2, 4), ("zca", 4, 8), ("iter_norm", 4, 4)} <= cells
    assert len(cells) == 11
    (said,) = found.left_out
    assert said.startswith("`zca` needs more samples in a batch than features in a group, got a `batch_size` of 4")


def test_groups_that_do_not_divide_the_features_are_refused():
    refused(
        "`group_size` must divide the number of features, got 3 for 4 features; try 2 or 4",
        normalizers=("zca",),
        group_sizes=(2, 3),
    )
    refused(
        "`groups` must divide the number of features, got 3 for 4 and 8 features; try 2 or 4",
        normalizers=("zca",),
        groups=(3,),
        features=(4, 8),
    )
    assert experiment(group_sizes=(3,)).cells  # which BatchNorm has no use for


def test_groups_may_be_given_by_their_number_and_both_are_known():
    found = experiment(normalizers=("zca",), group_sizes=(), groups=(1, 2), batch_sizes=(8,), features=(4, 6))
    assert {(cell.line.features, cell.line.group_size, cell.line.groups) for cell in found.cells} == {
        (4, 4, 1),
        (4, 2, 2),
        (6, 6, 1),
        (6, 3, 2),
    }


def test_default_groups_are_the_largest_divisors_up_to_8_and_32():
    def sizes(d):
        found = experiment(normalizers=("iter_norm",), group_sizes=(), features=(d,), batch_sizes=(4,))
        return [cell.line.group_size for cell in found.cells]

    assert sizes(32) == [8, 32]
    assert sizes(12) == [6, 12]
    assert sizes(7) == [7]


def test_other_numbers_of_steps_are_measured_at_the_middle_batch_size():
    found = experiment(normalizers=("iter_norm",), iterations=(5, 3, 7))
    assert sorted((cell.line.iterations, cell.batch_size) for cell in found.cells) == [
        *((3, 8), (5, 4), (5, 8), (5, 16), (7, 8)),
    ]


def test_populations_come_one_after_the_other_and_factorisations_alternate():
    found = experiment(populations=("gaussian", "student_t"), normalizers=("zca", "pca", "batch_norm", "layer_norm"))
    assert [cell.line.population for cell in found.cells] == ["gaussian"] * 12 + ["student_t"] * 12
    names = [
        cell.line.normalizer for cell in found.cells if cell.batch_size == 4 and cell.line.population == "gaussian"
    ]
    assert names == ["batch_norm", "zca", "layer_norm", "pca"]


def test_fewer_samples_than_a_batch_are_refused():
    refused(
        "gaussian: `population` must hold at least `batch_size` samples, got 120 for batches of 121",
        batch_sizes=(8, 121),
    )


def saved(tmp_path, x):
    np.save(tmp_path / "mine.npy", x)
    return (str(tmp_path / "mine.npy"),)


def test_constant_features_and_samples_that_are_not_finite_are_refused(tmp_path):
    x = np.random.default_rng(0).standard_normal((40, 4))
    x[:, 2] = 0.5
    refused("`population` must vary in every feature .*feature 2", populations=saved(tmp_path, x))
    refused(
        "`population` must vary in every feature .*feature 2", populations=saved(tmp_path, x), normalizers=("mabn",)
    )
    x[7, 1] = np.inf
    refused("`population` must be finite, got inf in sample 7", populations=saved(tmp_path, x))


def test_the_users_samples_bring_their_number_of_features(tmp_path):
    mine = saved(tmp_path, np.random.default_rng(0).standard_normal((40, 6)))
    found = prepare(replace(TINY, populations=("gaussian", *mine), features=(4, 8), batch_sizes=(8,)))
    assert list(found.populations) == [("gaussian", 4), ("gaussian", 8), (mine[0], 6)]


def test_normalisers_with_a_memory_draw_with_replacement():
    message = "`replacement` must be on for moving_batch_norm, whose batches are many, got off; leave it out"
    refused(message, normalizers=("moving_batch_norm",), replacement=False)


def test_a_normaliser_of_ones_own_is_known_by_its_file(tmp_path):
    (tmp_path / "mine.py").write_text(OWN_BATCH_NORM)
    spec = f"{tmp_path}/mine.py:own_batch_norm"
    found = prepare(replace(TINY, normalizers=(spec,), batch_sizes=(8,)))
    before = found.parameters(found.cells[0])
    (tmp_path / "mine.py").write_text(OWN_BATCH_NORM + "\n# changed\n")
    after = found.parameters(found.cells[0])
    assert before.pop("source") != after.pop("source")
    assert before == after
    assert found.cells[0].line.normalizer == "own_batch_norm"
    refused("has no function 'nothing'", normalizers=(f"{tmp_path}/mine.py:nothing",))
    refused(r"which is no file", FileNotFoundError, normalizers=(f"{tmp_path}/none.py:f",))


def test_a_quick_run_keeps_what_was_chosen():
    quick = Settings().quick()
    assert len(quick.populations) == 2
    assert quick.draws < Settings().draws
    chosen = replace(Settings(), populations=("patches",), batch_sizes=(8,), draws=5, iterations=(3, 9))
    assert chosen.quick() == chosen


def test_parameters_follow_from_what_makes_the_numbers():
    cell = experiment().cells[0]
    base = experiment().parameters(cell)
    assert experiment(seed=1).parameters(cell)["inputs"] != base["inputs"]
    assert set(base) == {
        *("population", "inputs", "normalizer", "batch_size", "features", "group_size", "iterations"),
        *("anchors", "draws", "design", "replacement", "samples", "seed"),
    }
    assert not re.search("workers|store", " ".join(base))
