"""The one function that judges: verdicts follow from intervals and bounds, and from nothing else."""

import functools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ntkcheck.claims import Claim, judge
from ntkcheck.claims import Test as Question  # pytest takes classes called Test for its own
from ntkcheck.claims.judge import LEVEL as FAMILY_LEVEL
from ntkcheck.stats import Estimate, bonferroni_level, mean_estimate

LEVEL = 0.95
# Of a question with bounds -1 and 1. The t quantile of 10 samples at 0.95 is 2.26.
INSIDE, OUTSIDE, STRADDLES = Estimate(0.0, 0.1, 10), Estimate(2.0, 0.1, 10), Estimate(1.0, 0.1, 10)
MISSING = None
ANSWERS = {"inside": INSIDE, "outside": OUTSIDE, "straddles": STRADDLES, "missing": MISSING}


def question(name="q", low=-1.0, high=1.0, weaker=False, otherwise=""):
    return Question(name, f"what {name} says", low, high, weaker, otherwise)


def verdict_on(stated, weaker=(), level=LEVEL):
    """The verdict on a claim with bounds -1 and 1 throughout, from estimates of its stated and weaker tests."""
    estimates = {f"stated {i}": e for i, e in enumerate(stated)} | {f"weaker {i}": e for i, e in enumerate(weaker)}
    tests = tuple(question(name, weaker=name.startswith("weaker")) for name in estimates)
    return judge(Claim("C", "a statement", "a source", tests), estimates, level)


@pytest.mark.parametrize(
    ("stated", "weaker", "verdict"),
    [
        ([INSIDE], [], "supported"),
        ([INSIDE, INSIDE], [INSIDE], "supported"),
        ([INSIDE], [MISSING], "supported"),
        ([OUTSIDE], [], "refuted"),
        ([MISSING, STRADDLES, OUTSIDE], [INSIDE], "refuted"),
        ([MISSING], [], "untested"),
        ([STRADDLES, MISSING], [OUTSIDE], "untested"),
        ([STRADDLES], [], "inconclusive"),
        ([INSIDE, STRADDLES], [OUTSIDE], "inconclusive"),
        ([INSIDE], [OUTSIDE], "qualified"),
        ([INSIDE], [STRADDLES, OUTSIDE], "qualified"),
        ([INSIDE], [STRADDLES], "inconclusive"),
        ([INSIDE], [MISSING, STRADDLES], "inconclusive"),
    ],
)
def test_each_verdict_follows_from_its_answers(stated, weaker, verdict):
    assert verdict_on(stated, weaker).verdict == verdict


def test_the_decisive_outcome_is_the_first_that_gave_the_verdict():
    judged = verdict_on([INSIDE, OUTSIDE, OUTSIDE])
    assert judged.decisive is judged.outcomes[1]
    assert [outcome.answer for outcome in judged.outcomes] == ["inside", "outside", "outside"]
    assert verdict_on([INSIDE], [INSIDE, OUTSIDE]).decisive.test.name == "weaker 1"


def ends(estimate, level):
    """Student's interval, from the quantile function."""
    half = stats.t.ppf((1 + level) / 2, estimate.n - 1) * estimate.sem if estimate.sem else 0.0
    return estimate.value - half, estimate.value + half


def answer(test, estimate, level):
    if estimate is None or not math.isfinite(estimate.value):
        return "missing"
    low, high = ends(estimate, level)
    if test.low <= low and high <= test.high:
        return "inside"
    return "outside" if high < test.low or low > test.high else "straddles"


NUMBERS = st.floats(-4, 4)
ESTIMATES = st.one_of(
    st.none(),
    st.builds(Estimate, NUMBERS, st.floats(0.01, 1), st.integers(2, 30)),
    st.builds(lambda value: Estimate(value, 0.0, 0), NUMBERS),
    st.sampled_from([Estimate(math.nan, math.nan, 5), Estimate(math.inf, 0.0, 0)]),
)
BOUNDS = st.one_of(
    st.tuples(st.floats(-3, 0), st.floats(0.5, 3)),
    st.tuples(st.just(-math.inf), NUMBERS),
    st.tuples(NUMBERS, st.just(math.inf)),
)


@st.composite
def cases(draw):
    """A claim with one stated test at least, and estimates of its tests."""
    kinds = [False, *draw(st.lists(st.booleans(), max_size=3))]
    tests = tuple(question(f"q{i}", *draw(BOUNDS), weaker=weaker) for i, weaker in enumerate(kinds))
    return Claim("C", "a statement", "a source", tests), {test.name: draw(ESTIMATES) for test in tests}


@settings(deadline=None, max_examples=150)
@given(cases(), st.sampled_from([0.8, 0.95, 0.999]))
def test_a_verdict_says_what_its_intervals_and_bounds_say(case, level):
    claim, found = case
    judged = judge(claim, found, level)
    stated = [answer(test, found[test.name], level) for test in claim.tests if not test.weaker]
    weaker = [answer(test, found[test.name], level) for test in claim.tests if test.weaker]
    assert (judged.verdict == "refuted") == ("outside" in stated)
    assert (judged.verdict == "untested") == ("outside" not in stated and "missing" in stated)
    held = set(stated) == {"inside"}
    assert (judged.verdict == "qualified") == (held and "outside" in weaker)
    assert (judged.verdict == "supported") == (held and set(weaker) <= {"inside", "missing"})
    assert [outcome.answer for outcome in judged.outcomes] == [
        answer(test, found[test.name], level) for test in claim.tests
    ]


@settings(deadline=None, max_examples=50)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_tests_changes_no_verdict(case, random):
    claim, found = case
    shuffled = list(claim.tests)
    random.shuffle(shuffled)
    other = Claim(claim.id, claim.statement, claim.source, tuple(shuffled))
    assert judge(other, found, LEVEL).verdict == judge(claim, found, LEVEL).verdict


SIMULATED = 10_000
WIDE = Claim("C", "a statement", "a source", (question(low=-50.0, high=50.0),))  # the other bound is never reached


def simulated(truth, n, count=SIMULATED):
    """Estimates from n samples each of a normal quantity: mean `truth`, standard deviation 1."""
    x = truth + np.random.default_rng([5, n, int(truth < 0)]).standard_normal((count, n))
    return [Estimate(*row, n) for row in zip(x.mean(1), x.std(1, ddof=1) / math.sqrt(n), strict=True)]


@functools.cache
def verdicts_on(truth, n, level):
    return [judge(WIDE, {"q": estimate}, level).verdict for estimate in simulated(truth, n)]


ON_A_BOUND = pytest.mark.parametrize(("truth", "n"), [(-50.0, 3), (50.0, 3), (-50.0, 30), (50.0, 30)])


@ON_A_BOUND
@pytest.mark.parametrize("wrong", ["supported", "refuted"])
def test_a_truth_on_a_bound_is_called_supported_or_refuted_in_one_percent_of_claims_at_most(truth, n, wrong):
    # Half the error probability, 0.5%, falls on each side; the binomial standard error over 10 000 claims is 0.07%.
    share = verdicts_on(truth, n, FAMILY_LEVEL).count(wrong) / SIMULATED
    assert share <= 0.01
    assert abs(share - 0.005) < 4 * math.sqrt(0.005 * 0.995 / SIMULATED)


@pytest.mark.parametrize("n", [3, 30])
def test_intervals_at_95_percent_would_call_more_supported(n):
    # Power of the test above: 2.5%, 9 standard errors (0.16%) above the 1%.
    assert verdicts_on(50.0, n, 0.95).count("supported") / SIMULATED > 0.01


@ON_A_BOUND
def test_claims_judged_together_are_wrongly_supported_in_one_percent_of_families_at_most(truth, n):
    # Each at 1 - 0.01 / 5: any of five is wrong with probability 0.5% at most. Over 2000 families the standard error is 0.16%.
    together = 5

    def wrong_families(level):
        found = np.array(verdicts_on(truth, n, level)).reshape(-1, together) == "supported"
        return found.any(axis=1).mean(), found.mean()

    by_family, by_claim = wrong_families(bonferroni_level(FAMILY_LEVEL, together))
    assert by_family <= 0.01
    assert by_claim <= 0.01 / together
    # Power: a correction that was left out, or a family at 95%, has 2.5% of wrong families.
    assert wrong_families(FAMILY_LEVEL)[0] > 0.01
    assert wrong_families(bonferroni_level(0.95, together))[0] > 0.01


# The power that this costs: share called supported, of a truth k standard errors of the mean inside its bound. It is the upper
# tail of the noncentral t distribution beyond the quantile; (samples, k): share at 0.99.
POWER = {(3, 4): 0.16, (3, 10): 0.63, (3, 20): 0.98, (30, 2): 0.25, (30, 4): 0.88, (30, 6): 1.00}


@pytest.mark.parametrize(("n", "k"), POWER)
def test_the_power_is_that_of_the_noncentral_t_distribution(n, k):
    trials, inside = 2000, 50.0 - k / math.sqrt(n)
    judged = [judge(WIDE, {"q": found}, FAMILY_LEVEL).verdict for found in simulated(inside, n, trials)]
    truth = stats.nct.sf(stats.t.isf((1 - FAMILY_LEVEL) / 2, n - 1), n - 1, k)
    assert truth == pytest.approx(POWER[n, k], abs=0.005)  # as rounded
    assert abs(judged.count("supported") / trials - truth) <= 4 * math.sqrt(truth * (1 - truth) / trials)


@pytest.mark.parametrize(("truth", "verdict"), [(0.0, "supported"), (3.0, "refuted")])
def test_a_truth_far_from_the_boundary_is_found(truth, verdict):
    # 1 and 2 away from the bound: 10 and 20 standard errors, where the t quantile at 0.99 is 3.25.
    rng = np.random.default_rng(6)
    samples = rng.normal(truth, 0.3, (50, 10))
    assert {verdict_on([mean_estimate(x)], level=0.99).verdict for x in samples} == {verdict}


def test_an_infinite_bound_bounds_nothing():
    at_most, at_least = question(low=-math.inf), question(high=math.inf)
    for test, sign in ((at_most, -1), (at_least, 1)):
        claim = Claim("C", "a statement", "a source", (test,))
        assert judge(claim, {"q": Estimate(sign * 1e300, 1.0, 10)}, LEVEL).verdict == "supported"
        assert judge(claim, {"q": Estimate(sign * -1e300, 1.0, 10)}, LEVEL).verdict == "refuted"
        assert judge(claim, {"q": Estimate(-sign, 0.1, 10)}, LEVEL).verdict == "inconclusive"


def test_a_value_without_noise_on_a_bound_is_inside():
    assert verdict_on([Estimate(1.0, 0.0, 0)]).verdict == "supported"
    assert verdict_on([Estimate(np.nextafter(1.0, 2.0), 0.0, 0)]).verdict == "refuted"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_breakdown_decides_nothing_and_is_said(value):
    judged = verdict_on([Estimate(value, math.nan, 10)])
    assert judged.verdict == "untested"
    assert judged.reason == f"broke down ({value}): what stated 0 says"


def unmeasured(**fields):
    return judge(Claim("C-1", "a statement", "a source", (question(),), **fields), {}, LEVEL).reason


def test_what_was_not_measured_is_said_with_the_command_that_measures_it():
    missing = "not measured: what q says; "
    assert unmeasured(check="m:f") == missing + "`ntkcheck claims check C-1` tests it"
    assert unmeasured(check="m:f", command="ntkcheck claims check C-1 --data PATH", needs="a folder with CIFAR-10") == (
        missing + "with a folder with CIFAR-10, `ntkcheck claims check C-1 --data PATH` tests it"
    )
    own = unmeasured(check="f.py:f", paper="mine", folder=Path("somewhere"))
    assert own == missing + "`ntkcheck claims --own mine.toml check C-1` tests it"


def test_a_claim_without_a_check_names_no_command():
    assert unmeasured(command="ntkcheck claims check C-1").endswith("; this version has no check for it yet")


def test_a_supported_claim_rests_on_a_stated_test():
    claim = Claim("C", "a statement", "a source", (question("weak", weaker=True), question("firm")))
    judged = judge(claim, {"firm": INSIDE}, LEVEL)
    assert (judged.verdict, judged.decisive.test.name) == ("supported", "firm")
    assert judged.reason == "what firm says: 0, inside [-1, 1]"


def test_an_inconclusive_reason_says_how_many_more_samples_would_decide():
    reason = verdict_on([Estimate(0.9, 0.1, 10)]).reason
    more = int(reason.partition("about ")[2].split()[0])
    assert reason == (
        f"what stated 0 says: 0.9, across the edge of [-1, 1]; about {more} more samples (networks, draws) would decide"
    )

    def clear(n):  # of the bound 1, with the spread as it is
        return ends(Estimate(0.9, 0.1 * (10 / n) ** 0.5, n), LEVEL)[1] < 1

    assert clear(10 + more)
    assert not clear(9 + more)
    assert verdict_on([STRADDLES]).reason.endswith("no number of samples would decide")


def test_a_refutation_says_what_holds_instead():
    claim = Claim("C", "a statement", "a source", (question(otherwise="it is twice that"),))
    assert judge(claim, {"q": OUTSIDE}, LEVEL).reason == "what q says: 2, outside [-1, 1]; it is twice that"
    assert judge(claim, {"q": INSIDE}, LEVEL).reason == "what q says: 0, inside [-1, 1]"
