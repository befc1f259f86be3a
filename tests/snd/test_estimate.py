"""The estimators against enumeration of every batch, against each other, and their errors against their scatter."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck import normalizers, snd
from ntkcheck.snd.batches import anchor_factor
from ntkcheck.snd.shared import projection_variance
from tests.snd.enumeration import delta, disturbance, layer_norm_of_first

KEY = jax.random.key(0)
SMALL = np.random.default_rng(1).standard_normal((9, 3)) ** 3


def softened(x):
    """BatchNorm with a mean square in place of the variance and 1 added to it: bounded where a batch repeats a sample."""
    return (x - jnp.mean(x, axis=0, keepdims=True)) / jnp.sqrt(1 + jnp.mean(x**2, axis=0, keepdims=True))


def softened_of_first(x):
    return (x[:, 0] - x.mean(axis=1)) / np.sqrt(1 + (x**2).mean(axis=1))


@pytest.mark.parametrize("design", ["shared", "anchored"])
@pytest.mark.parametrize("replacement", [True, False])
def test_both_designs_estimate_what_enumeration_of_every_batch_gives(design, replacement):
    # All 9 samples are anchors, equally often: the error is that of the draws alone. 20000 draws leave 2e-5 of bias.
    truth = disturbance(softened_of_first, SMALL, 4, replacement)
    found = snd.disturbance(softened, SMALL, 4, 9, 20000, key=KEY, design=design, replacement=replacement)
    error = found.sem_draws
    assert abs(found.value - truth) <= 4 * error + 2e-5 * truth
    # Power: another batch size, the other way to draw, and twice the value are all told apart.
    others = (
        disturbance(softened_of_first, SMALL, 3, replacement),
        disturbance(softened_of_first, SMALL, 4, not replacement),
    )
    for wrong in (*others, 2 * truth):
        assert abs(found.value - wrong) > 8 * error


def test_estimate_is_the_value_of_the_disturbance():
    found = snd.disturbance("batch_norm", SMALL, 5, 20, 30, key=KEY, replacement=False)
    assert snd.estimate("batch_norm", SMALL, 5, 20, 30, key=KEY, replacement=False) == found.estimate
    assert (found.estimate.value, found.estimate.sem, found.estimate.n) == (found.value, found.sem, found.anchors)


@pytest.mark.parametrize("design", ["shared", "anchored"])
def test_errors_are_the_scatter_of_repetitions_over_populations(design):
    # 24 populations of 800: the standard deviation of 24 values is known to 15%, sems to about as much. Shared batches of 16 have
    # anchors that are each other's mates: Hoeffding's projection is what makes their error honest.
    found = [
        snd.disturbance(
            "batch_norm", np.random.default_rng(seed).standard_normal((800, 4)), 16, 100, 200, key=KEY, design=design
        )
        for seed in range(24)
    ]
    scatter = np.std([each.value for each in found], ddof=1)
    assert 0.6 < scatter / np.sqrt(np.mean([each.sem**2 for each in found])) < 1.5
    # Power: the error of the draws alone is less than half of it.
    if design == "shared":
        assert np.mean([each.sem_draws for each in found]) < 0.5 * scatter


@pytest.mark.parametrize("replacement", [True, False])
def test_errors_of_few_large_batches_are_their_scatter(replacement):
    # 8 batches: some anchors are in none of them, and most of the scatter of the others' mean D_B is that of so few D_B.
    # Counted as mates' share, either makes the error several times too large. 24 keys give 15%, 8 batches 27% a key.
    population = np.random.default_rng(1).standard_normal((256, 8))
    keys = jax.random.split(KEY, 24)
    found = [snd.disturbance("batch_norm", population, 128, 256, 4, key=k, replacement=replacement) for k in keys]
    sem = np.sqrt(np.mean([each.sem**2 for each in found]))
    scatter = np.std([each.value for each in found], ddof=1)
    assert 0.6 < scatter / sem < 1.6
    assert np.mean([each.anchors for each in found]) < 256  # power: there are such anchors
    assert all(each.draws > 1 for each in found)


@pytest.mark.parametrize("design", ["shared", "anchored"])
def test_no_anchor_is_left_to_chance_where_all_of_the_population_are_anchors(design):
    arguments = (softened, SMALL, 4, 9, 200)
    without = snd.disturbance(*arguments, key=KEY, design=design, replacement=False)
    assert without.sem_anchors == 0
    assert without.sem == without.sem_draws > 0
    # With replacement the samples stand for their law. Power: the error is another one.
    assert snd.disturbance(*arguments, key=KEY, design=design).sem_anchors > without.sem_draws


@pytest.mark.parametrize(("samples", "anchors"), [(5, 2), (5, 5), (4, 6), (3, 8)])
def test_the_variance_over_anchors_is_that_of_every_choice_of_them(samples, anchors):
    values = np.random.default_rng(2).standard_normal(samples)
    whole, rest = divmod(anchors, samples)
    means = [
        (whole * values.sum() + values[list(c)].sum()) / anchors for c in itertools.combinations(range(samples), rest)
    ]
    one = values.var(ddof=1)
    assert anchor_factor(samples, anchors, False) * one / anchors == pytest.approx(np.var(means), abs=1e-14)
    # And with the variance of these samples' own mean over their law: of as many independent ones, where there are so many.
    expected = np.var(means) * anchors / one + anchors / samples
    assert anchor_factor(samples, anchors, True) == pytest.approx(expected, rel=1e-12)
    assert (anchor_factor(samples, anchors, True) == pytest.approx(1)) == (anchors <= samples)


def test_the_projection_sees_what_mates_share_and_nothing_else():
    rng = np.random.default_rng(3)
    anchors, draws, m = 4000, 50, 8
    chosen = rng.integers(0, anchors, (anchors * draws // m, m))
    trait = rng.standard_normal(anchors)

    def projected(of_batches):
        count = np.bincount(chosen.ravel(), minlength=anchors)
        given = np.bincount(chosen.ravel(), np.repeat(of_batches, m), anchors) / count
        return projection_variance(given, count, of_batches, m, True)

    noise = rng.standard_normal(len(chosen))
    # D_B = mean trait + noise: m^2 Var E[D_B | x] / n is 1 / n exactly; less two standard errors of its noise, 8^2 (1 + 1/8) / 50 x
    # sqrt(2 / 4000) = 0.032 each, and up to four of 0.04, which holds the sampling of the trait.
    assert 1 - 2 * 0.032 - 4 * 0.04 < anchors * projected(trait[chosen].mean(axis=1) + noise) < 1 - 2 * 0.032 + 4 * 0.04
    # Noise alone gives 0 up to four of its standard errors, of which two are taken off.
    assert anchors * projected(noise) < 2 * 0.029


def test_the_bias_of_few_draws_is_corrected():
    # SND with s = 4 draws is sqrt(3/4) = 0.866 of that with many, 3e-4 left of the correction at s = 200; BatchNorm at m = 16
    # is near enough to Gaussian for what the correction leaves, (kappa - 1) / (2 s), to be under 1%.
    population = np.random.default_rng(4).standard_normal((4000, 8))
    few, many = (snd.disturbance("batch_norm", population, 16, 500, s, key=KEY, design="anchored") for s in (4, 200))
    sem = math.hypot(few.sem, many.sem)
    assert abs(few.value - many.value) <= 4 * sem + 0.01 * many.value
    assert few.biased == pytest.approx(math.sqrt(3 / 4) * few.value, rel=1e-12)
    # Power: the paper's estimator is told from it.
    assert abs(few.biased - many.value) > 0.1 * many.value


def test_batches_that_hold_an_anchor_twice_do_not_count_as_two_draws():
    # 2000 anchors, m = 250, s = 4: 32 batches, so that two draws of an anchor are the same one with probability 1 / 32 and SND is
    # 1.6% low without the correction. Repetitions tell that from 0.
    population = np.random.default_rng(10).standard_normal((2000, 32))
    few = [snd.disturbance("batch_norm", population, 250, 2000, 4, key=k).value for k in jax.random.split(KEY, 12)]
    many = snd.disturbance("batch_norm", population, 250, 2000, 200, key=KEY)
    error = 4 * math.hypot(np.std(few, ddof=1) / 12**0.5, many.sem_draws)
    assert abs(np.mean(few) - many.value) <= error
    assert abs(np.mean(few) * math.sqrt(1 - 1 / 32) - many.value) > error


def test_without_replacement_the_disturbance_is_lower_by_the_finite_population_factor():
    population = np.random.default_rng(5).standard_normal((256, 8))
    with_, without = (
        snd.disturbance("batch_norm", population, 128, 200, 60, key=KEY, replacement=r) for r in (True, False)
    )
    assert with_.finite_population_factor == 1
    assert without.finite_population_factor == pytest.approx(math.sqrt(128 / 255))
    # First order: the rest is of order 1 / m relatively, 1%; one population, so only the draws differ.
    error = 4 * math.hypot(with_.sem_draws, without.sem_draws) + 0.01 * with_.value
    assert abs(without.value - without.finite_population_factor * with_.value) <= error
    assert error < 0.1 * with_.value


def test_a_batch_of_the_whole_population_disturbs_nothing():
    found = snd.disturbance("batch_norm", SMALL, 9, 9, 20, key=KEY, replacement=False, design="anchored")
    assert found.value < 1e-14  # rounding of sums in another order
    assert found.finite_population_factor == 0


@pytest.mark.parametrize("design", ["shared", "anchored"])
def test_a_normaliser_of_single_samples_has_no_disturbance(design):
    assert delta(layer_norm_of_first, SMALL, 0, 3, True) < 1e-14
    found = snd.disturbance("layer_norm", SMALL, 3, 9, 20, key=KEY, design=design)
    assert found.value < 1e-14
    assert found.sem < 1e-14


def test_relative_disturbance_does_not_see_a_scale_and_the_disturbance_does():
    def shrunk(x):
        return 0.5 * normalizers.batch_norm(x)

    shrunk, plain = (snd.disturbance(f, SMALL, 5, 20, 30, key=KEY, replacement=False) for f in (shrunk, "batch_norm"))
    assert shrunk.value == pytest.approx(0.5 * plain.value, rel=1e-12)
    assert shrunk.relative == pytest.approx(plain.relative, rel=1e-12)
    assert shrunk.rms == pytest.approx(0.5 * plain.rms, rel=1e-12)
    assert plain.rms == pytest.approx(1, abs=1e-12)  # every batch has mean square 1


def test_single_precision_stays_and_agrees():
    population = np.random.default_rng(6).standard_normal((2000, 4))
    double = snd.estimate("batch_norm", population, 32, 50, 20, key=KEY)
    single = snd.estimate("batch_norm", population.astype(np.float32), 32, 50, 20, key=KEY)
    # The same batches: 100 roundings of 6e-8 in outputs of order 1, distances of order 0.5.
    assert single.value == pytest.approx(double.value, rel=1e-4)


def test_breakdown_is_a_result_with_its_reason():
    # A rare feature, constant in most batches: BatchNorm divides 0 by 0.
    population = np.zeros((100, 2))
    population[:, 0] = np.arange(100)
    population[0, 1] = 1
    for design in ("shared", "anchored"):
        found = snd.disturbance("batch_norm", population, 8, 10, 10, key=KEY, design=design)
        assert math.isnan(found.value)
        assert math.isnan(found.sem)
        assert 0 < found.broken <= found.anchors * found.draws * 1.001
        assert "values that are not finite for" in (found.breakdown or "")
        assert found._replace(broken=0).breakdown is None


@pytest.mark.parametrize("module", ["shared", "anchored"])
def test_memory_does_not_grow_with_draws_times_anchors(module):
    from ntkcheck.snd import anchored, shared

    kind, x = normalizers.get("batch_norm"), jnp.zeros((64, 4))

    if module == "shared":
        keys = jax.random.split(KEY, 2000)
        lowered = shared._sums.program().lower(keys, x, x, kind=kind, batch_size=8, at_once=4, replacement=True)
    else:
        settings = {"batch_size": 8, "anchors": 2000, "draws": 32, "at_once": 4, "replacement": True}
        lowered = anchored._distances.program().lower(KEY, x, kind=kind, **settings)
    # 2000 anchors of 32 draws with 4 features, or as many batches of 4 x 8, would take 2 MB; keys, anchors and results take 100
    # bytes each.
    assert lowered.compile().memory_analysis().temp_size_in_bytes < 2000 * 100 + 20000
