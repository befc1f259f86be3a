"""The checks of IterNorm's claims: one small function each, from a run's evidence to the estimates that its tests name."""

import functools
from collections.abc import Sequence

import jax
import numpy as np
from scipy import stats

from ntkcheck import normalizers, snd
from ntkcheck.claims import full_size
from ntkcheck.claims.cells import (
    SHARE,
    SND,
    Cell,
    Sizes,
    by_set,
    conditions,
    image_disturbances,
    image_options,
    over_sets,
    random_layer,
    values,
)
from ntkcheck.claims.cost import forward_times
from ntkcheck.claims.evidence import Answers, Evidence, exact
from ntkcheck.claims.printed_estimator import estimator_ratios
from ntkcheck.claims.published_iter_norm import float32_errors, gradient_differences, iteration_errors
from ntkcheck.claims.trade_off import Setting, dominated
from ntkcheck.kernels import condition_number
from ntkcheck.stats import Estimate, mean_estimate

SPECTRUM = 100.0  # largest over smallest eigenvalue of the populations of known spectrum
USUAL = Sizes()
WIDE = Sizes(sets=8, anchors=8192, draws=3)  # for groups of 64, whose anchors have the larger leverage in their batches
DISTINCT = Sizes(sets=8, anchors=4096, draws=2, replacement=False)  # for batches of g + 1
NEURONS = 64  # of the random layer on the run's images


def in_1(evidence: Evidence, features: int = 16, draws: int = 10) -> Answers:
    """Newton's iteration against the eigen-decomposition and against the recursion of every eigenvalue by itself."""
    eigenvalues = np.geomspace(1, 1 / SPECTRUM, features)
    eigenvalues /= eigenvalues.sum()
    bases = stats.ortho_group.rvs(features, size=draws, random_state=evidence.generator("IN-1"))
    found = [iteration_errors(eigenvalues, basis) for basis in bases]
    worst: Answers = {
        name: exact(max(each[name] for each in found)) for name in ("inverse_root_error", "eigenvalue_error")
    }
    order = min(each["stretching_order"] for each in found)
    single = [float32_errors(eigenvalues, basis, 40) for basis in bases]
    return worst | {
        "stretching_order": exact(order),
        "float32_error_T_5": exact(max(errors[4] for errors in single)),
        "stable_share_float32": mean_estimate(np.mean(np.array(single) < 0.01, axis=1)),
    }


def in_2(evidence: Evidence, anchors: int = 200, draws: int = 20000) -> Answers:
    """The printed estimator's bias in the number of draws."""
    record = evidence.obtain(
        estimator_ratios, batch_size=64, features=32, anchors=anchors, draws=draws, counts=(200, 5)
    )
    found = {m.quantity: m.estimate for m in record.measurements} if record else {}
    many, few = (e if isinstance(e := found.get(f"ratio_{s}"), Estimate) else None for s in (200, 5))
    corrected = few and Estimate(few.value * 1.25**0.5, few.sem * 1.25**0.5, few.n)
    return {"bias_s_200": many, "bias_s_5": few, "corrected_s_5": corrected}


def in_3(evidence: Evidence, sizes: Sizes = USUAL) -> Answers:
    """Slopes of SND in the batch size."""

    def slope(normalizer: str, group_size: int, first: int, last: int) -> Estimate | None:
        batches = _powers(first, last)
        return _exponent(batches, [by_set(evidence, Cell(normalizer, m, 32, group_size), sizes) for m in batches])

    images, batches = image_options(evidence), _powers(4, 256)
    on_images = [
        evidence.obtain(image_disturbances, images=images, batch_size=m, neurons=NEURONS, sets=sizes.sets, draws=32)
        for m in batches
    ]
    return {
        "slope_batch_norm": slope("batch_norm", 1, 4, 1024),
        "slope_zca": slope("zca", 4, 64, 1024),
        "slope_zca_small_batch": slope("zca", 16, 32, 128),
        "slope_batch_norm_data": _exponent(batches, [values(record, SND) for record in on_images]),
    }


def _powers(first: int, last: int) -> list[int]:
    return [2**k for k in range(first.bit_length() - 1, last.bit_length())]


def _exponent(at: Sequence[int], measured: Sequence) -> Estimate | None:
    """Slope of log SND on the logarithm of what it was measured at, one for each set; their mean."""
    return over_sets(lambda *snd: np.polyfit(np.log(at), np.log(snd), 1)[0], *measured)


def in_4(evidence: Evidence, sizes: Sizes = USUAL, wide: Sizes = WIDE) -> Answers:
    """SND by the number of features and the group, and over the first-order law."""
    narrow = functools.partial(_snd, evidence, sizes=sizes)
    broad = functools.partial(_snd, evidence, sizes=wide)
    widths = (16, 32, 64)
    batch_norm = {d: narrow("batch_norm", 1024, d) for d in widths}
    zca = {d: broad("zca", 1024, d, d) for d in widths}
    groups = broad("zca", 1024, 64, 16)

    def over_law(measured, group_size: int, batch_size: int) -> Estimate | None:
        return over_sets(lambda found: found / snd.isotropic_zca(64, group_size, batch_size), measured)

    return {
        "exponent_batch_norm": _exponent(widths, list(batch_norm.values())),
        "exponent_zca": _exponent(widths, list(zca.values())),
        "group_ratio": over_sets(np.divide, groups, zca[64]),
        "law_g_1": over_law(batch_norm[64], 1, 1024),
        "law_g_16": over_law(groups, 16, 1024),
        "law_g_64": over_law(broad("zca", 2048, 64, 64), 64, 2048),
        "law_g_64_small_batch": over_law(broad("zca", 128, 64, 64), 64, 128),
    }


def _snd(evidence, normalizer, batch_size, features, group_size=1, iterations=0, *, sizes, quantity=SND):
    return by_set(evidence, Cell(normalizer, batch_size, features, group_size, iterations), sizes, quantity)


def in_5(evidence: Evidence, wide: Sizes = WIDE, small: Sizes = DISTINCT) -> Answers:
    """IterNorm against full whitening, by iterations, and at batches no larger than the group."""
    broad = functools.partial(_snd, evidence, sizes=wide)
    share = functools.partial(_snd, evidence, sizes=small, quantity=SHARE)
    by_iterations = {T: broad("iter_norm", 1024, 64, 64, T) for T in range(1, 7)}
    ratios = [over_sets(np.divide, by_iterations[T + 1], by_iterations[T]) for T in range(1, 6)]
    growth = [ratio for ratio in ratios if ratio]
    response = snd.isotropic_iter_norm(64, 64, 5, 2048, mean=True)
    return {
        "ratio_T_5": over_sets(np.divide, by_iterations[5], broad("zca", 1024, 64, 64)),
        "growth_with_T": min(growth, key=lambda ratio: ratio.value) if len(growth) == len(ratios) else None,
        "disturbance_share_iter_norm": over_sets(np.asarray, share("iter_norm", 64, 64, 64, 5)),
        "disturbance_share_zca": over_sets(np.asarray, share("zca", 65, 64, 64)),
        "disturbance_share_iter_norm_half": over_sets(np.asarray, share("iter_norm", 32, 64, 64, 5)),
        "linear_response_T_5": over_sets(lambda found: found / response, broad("iter_norm", 2048, 64, 64, 5)),
    }


def in_6(evidence: Evidence, draws: int = 32, samples: int = 4096) -> Answers:
    """Conditioning of the output under IterNorm and BatchNorm, for a known spectrum, on the run's images, in full-size models."""
    iter_norm, batch_norm = (
        conditions(evidence, Cell(name, samples, 16, g, T, SPECTRUM), draws)
        for name, g, T in (("iter_norm", 16, 5), ("batch_norm", 1, 0))
    )
    x = evidence.batches.reshape(-1, evidence.batches.shape[2])
    layers = jax.random.split(evidence.key("IN-6"), draws) if len(x) > NEURONS else ()
    ratios = np.array([_image_ratios(random_layer(key, x, NEURONS)) for key in layers]).reshape(-1, 2)
    condition, rank = map(mean_estimate, ratios.T) if len(ratios) else (None, None)
    return {
        "condition_ratio_spectrum": over_sets(np.divide, iter_norm, batch_norm),
        "condition_ratio_images": condition,
        "stable_rank_ratio_images": rank,
        "condition_T_5": over_sets(np.asarray, iter_norm),
        **full_size.conditioning(evidence),
    }


def _image_ratios(h, group_size: int = 16):
    """IterNorm over BatchNorm on a layer's pre-activations: condition number within groups, mean; stable rank of all outputs."""
    kinds = normalizers.get("iter_norm", group_size), normalizers.get("batch_norm")
    of_iter_norm, of_batch_norm = (np.cov(np.asarray(kind.function(h)), rowvar=False) for kind in kinds)
    blocks = [slice(start, start + group_size) for start in range(0, len(of_iter_norm), group_size)]
    ratios = [condition_number(of_iter_norm[b, b]) / condition_number(of_batch_norm[b, b]) for b in blocks]
    return np.mean(ratios), _stable_rank(of_iter_norm) / _stable_rank(of_batch_norm)


def _stable_rank(covariance):
    return np.trace(covariance) / np.linalg.norm(covariance, 2)


def in_7(evidence: Evidence, sizes: Sizes = USUAL, samples: int = 4096, groups: Sequence[int] = (8, 16, 32)) -> Answers:
    """Conditioning and SND of the normalisers' settings at m = 256, on 32 features of known spectrum."""
    own = [("iter_norm", g, T) for g in groups for T in (3, 5, 7)]
    others = [("batch_norm", 1, 0), *((name, g, 0) for name in ("zca", "pca", "cholesky") for g in groups)]
    full, zca = [("iter_norm", 32, T) for T in range(2, 8)], ("zca", 16, 0)
    choices = dict.fromkeys([*own, *others, *full, zca])
    found = {c: setting for c in choices if (setting := _setting(evidence, *c, sizes, samples))}
    if len(found) < len(choices):
        return {}
    ours, theirs = [found[c] for c in own], [found[c] for c in others]
    front = [each for each in (*ours, *theirs) if not dominated([each], [*ours, *theirs])]
    return {
        "dominated_share": exact(len(dominated(ours, theirs)) / len(ours)),
        "snd_ratio_at_equal_condition": _at_equal_condition([found[c] for c in full], found[zca]),
        "front_share": exact(sum(each.normalizer == "iter_norm" for each in front) / len(front)),
    }


def _setting(evidence, normalizer, group_size, iterations, sizes, samples) -> Setting | None:
    population = {"features": 32, "condition": SPECTRUM}
    snd = by_set(evidence, Cell(normalizer, 256, group_size=group_size, iterations=iterations, **population), sizes)
    condition = conditions(
        evidence, Cell(normalizer, samples, group_size=group_size, iterations=iterations, **population), sizes.sets
    )
    return None if snd is None or condition is None else Setting(normalizer, condition, snd)


def _at_equal_condition(full: Sequence[Setting], reference: Setting) -> Estimate | None:
    """SND at the reference's condition number, interpolated in the logarithms, over the reference's; None beyond the settings."""
    at = np.log([each.condition for each in full][::-1])
    snd = np.log([each.snd for each in full][::-1])
    wanted = np.log(reference.condition)
    if np.any((wanted < at[0]) | (at[-1] < wanted)):
        return None
    return mean_estimate(
        np.exp([np.interp(w, a, s) for w, a, s in zip(wanted, at.T, snd.T, strict=True)]) / reference.snd
    )


def in_8(evidence: Evidence, repetitions: int = 20, widths: Sequence[int] = (64, 256, 512)) -> Answers:
    """Wall time of IterNorm over that of a convolution, and of ZCA over that of IterNorm."""
    on_cpu = functools.partial(evidence.obtain, device="cpu")
    answers: Answers = {}
    for measured, d, suffix in [*((on_cpu, d, "") for d in widths), (evidence.on_gpu, 256, "_gpu")]:
        record = measured(forward_times, features=d, repetitions=repetitions, tries=max(1, (512 // d) ** 2))
        seconds = {name: values(record, name) for name in ("iter_norm", "zca", "convolution")}
        answers |= {
            f"over_convolution_{d}{suffix}": over_sets(np.divide, seconds["iter_norm"], seconds["convolution"]),
            f"eigh_over_iter_norm_{d}{suffix}": over_sets(np.divide, seconds["zca"], seconds["iter_norm"]),
        }
    return answers


def in_10(evidence: Evidence, draws: int = 5) -> Answers:
    """The published backward pass against automatic differentiation of the forward pass."""
    rng = evidence.generator("IN-10")
    found = [gradient_differences(rng, samples=64, features=16) for _ in range(draws)]
    double, single = np.max(found, axis=0)
    return {"gradient_difference": exact(double), "gradient_difference_float32": exact(single)}
