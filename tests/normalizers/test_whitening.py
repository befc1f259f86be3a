"""Whitening: what the three have in common, then what tells them apart, each against a factorisation that it does not use."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ntkcheck.normalizers import batch_norm, cholesky, pca, zca
from tests.normalizers.batches import batch_of_spectrum, covariance, orthogonal

WHITENINGS = {"zca": zca, "pca": pca, "cholesky": cholesky}
every_whitening = pytest.mark.parametrize("name", WHITENINGS)
BATCH, FEATURES = 16, 4

# Condition numbers up to 100, of any block as well (interlacing). A backward stable factorisation of a 4 x 4 covariance and the
# sums over 16 samples: 100 roundings of 1.1e-16, times the condition number.
ACCURACY = 1e-12
SPECTRUM = np.array([0.1, 0.9, 2.0, 10.0])
seeds = st.integers(0, 2**32 - 2)


@st.composite
def batches(draw):
    eigenvalues = draw(hnp.arrays(np.float64, (FEATURES,), elements=st.floats(0.1, 10)))
    mean = draw(hnp.arrays(np.float64, (FEATURES,), elements=st.floats(-1, 1)))
    return batch_of_spectrum(eigenvalues, BATCH, draw(seeds)) + mean


@functools.cache
def compiled(name, group_size):
    return jax.jit(functools.partial(WHITENINGS[name], group_size=group_size))


def whitened(name, x, group_size=FEATURES, eps=0.0):
    return np.asarray(compiled(name, group_size)(x, eps=eps))


def matrix_of(y, x):
    """W of y = (x - mean) W."""
    return np.linalg.lstsq(x - x.mean(axis=0), y, rcond=None)[0]


@every_whitening
@settings(max_examples=20, deadline=None)
@given(x=batches())
def test_covariance_of_a_group_is_the_identity(name, x):
    y = whitened(name, x)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=ACCURACY)
    np.testing.assert_allclose(covariance(y), np.eye(FEATURES), atol=ACCURACY)


@every_whitening
def test_groups_are_whitened_one_by_one(name):
    x = batch_of_spectrum(SPECTRUM, BATCH, 2)
    y = whitened(name, x, group_size=2)
    for group in (slice(0, 2), slice(2, 4)):
        np.testing.assert_allclose(y[:, group], whitened(name, x[:, group], group_size=2), atol=ACCURACY)


@every_whitening
def test_covariance_between_groups_is_left(name):
    # Power of the identity test: it fails for half the group size, by the canonical correlations.
    y = whitened(name, batch_of_spectrum(SPECTRUM, BATCH, 3), group_size=2)
    assert np.max(np.abs(covariance(y)[:2, 2:])) > 0.1


@every_whitening
@settings(max_examples=20, deadline=None)
@given(x=batches())
def test_groups_of_one_are_batch_norm(name, x):
    np.testing.assert_allclose(whitened(name, x, group_size=1), jax.jit(batch_norm)(x), atol=ACCURACY)


@pytest.mark.parametrize("name", ["zca", "cholesky"])
@settings(max_examples=20, deadline=None)
@given(x=batches(), scale=st.floats(0.1, 10), shift=st.floats(-1, 1))
def test_whitening_is_invariant_to_shift_and_positive_scale(name, x, scale, shift):
    # A shift of 1 on values scaled by 0.1 adds a tenfold rounding.
    np.testing.assert_allclose(whitened(name, scale * x + shift), whitened(name, x), atol=10 * ACCURACY)


@every_whitening
@settings(max_examples=20, deadline=None)
@given(x=batches(), eps=st.floats(1e-3, 10))
def test_eps_is_added_to_the_diagonal_of_the_covariance(name, x, eps):
    # W W^T = (Sigma + eps I)^(-1), so the output covariance has the eigenvalues of Sigma (Sigma + eps I)^(-1).
    eigenvalues = np.linalg.eigvalsh(covariance(x))
    output = np.linalg.eigvalsh(covariance(whitened(name, x, eps=eps)))
    np.testing.assert_allclose(output, eigenvalues / (eigenvalues + eps), atol=ACCURACY)


@settings(max_examples=20, deadline=None)
@given(batches())
def test_zca_is_the_symmetric_inverse_root_of_the_covariance(x):
    # Oracle: the square root by the Schur method, inverted.
    w = matrix_of(whitened("zca", x), x)
    np.testing.assert_allclose(w, w.T, atol=10 * ACCURACY)
    np.testing.assert_allclose(w, scipy.linalg.inv(scipy.linalg.sqrtm(covariance(x))), atol=10 * ACCURACY)


@settings(max_examples=20, deadline=None)
@given(batches(), seeds)
def test_zca_commutes_with_rotations(x, seed):
    rotation = orthogonal(FEATURES, seed)
    np.testing.assert_allclose(whitened("zca", x @ rotation), whitened("zca", x) @ rotation, atol=2 * ACCURACY)


@pytest.mark.parametrize("name", ["pca", "cholesky"])
def test_the_others_do_not_commute_with_rotations(name):
    x, rotation = batch_of_spectrum(SPECTRUM, BATCH, 5), orthogonal(FEATURES, 6)
    assert np.max(np.abs(whitened(name, x @ rotation) - whitened(name, x) @ rotation)) > 0.1


@settings(max_examples=20, deadline=None)
@given(batches())
def test_zca_stays_closest_to_the_batch(x):
    # The distance of whitened data y to x is least for ZCA, where it is sum_i (1 - sqrt(lambda_i))^2 per sample.
    centred = x - x.mean(axis=0)
    distance = {name: np.sum((whitened(name, x) - centred) ** 2) / BATCH for name in WHITENINGS}
    least = np.sum((1 - np.sqrt(np.linalg.eigvalsh(covariance(x)))) ** 2)
    np.testing.assert_allclose(distance["zca"], least, atol=100 * ACCURACY)
    assert min(distance["pca"], distance["cholesky"]) >= least - 100 * ACCURACY


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.1, 10), st.floats(-1, 1))
def test_pca_sees_neither_shift_nor_positive_scale_nor_rotation_up_to_signs(seed, scale, shift):
    # Gaps of the eigenvalues are at least 0.8 of 10: axes turn by roundings times 12. Signs may flip: see below.
    x = batch_of_spectrum(SPECTRUM, BATCH, seed)
    y = np.abs(whitened("pca", x))
    np.testing.assert_allclose(np.abs(whitened("pca", scale * x + shift)), y, atol=100 * ACCURACY)
    np.testing.assert_allclose(np.abs(whitened("pca", x @ orthogonal(FEATURES, 1))), y, atol=10 * ACCURACY)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_pca_gives_the_principal_components_largest_first_with_their_largest_entry_positive(seed):
    # Oracle: the singular vectors of the centred batch. Gaps of the eigenvalues are at least 0.8: no swap, no turn.
    x = batch_of_spectrum(SPECTRUM, BATCH, seed)
    left, singular, axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    sign = np.sign([axis[np.argmax(np.abs(axis))] for axis in axes])
    y = whitened("pca", x)
    # Where two entries are of the same size up to rounding, either may count as the largest.
    sorted_entries = np.sort(np.abs(axes), axis=1)
    clear = sorted_entries[:, -1] - sorted_entries[:, -2] > ACCURACY
    np.testing.assert_allclose((y * sign)[:, clear], np.sqrt(BATCH) * left[:, clear], atol=10 * ACCURACY)
    np.testing.assert_allclose(singular**2 / BATCH, SPECTRUM[::-1], rtol=10 * ACCURACY)


def test_pca_in_ascending_order_or_with_the_other_sign_fails_the_same_check():
    x = batch_of_spectrum(SPECTRUM, BATCH, 7)
    left = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[0]
    y = whitened("pca", x)
    assert np.max(np.abs(np.abs(y[:, ::-1]) - np.sqrt(BATCH) * np.abs(left))) > 0.1
    assert np.all(np.max(matrix_of(y, x), axis=0) > -np.min(matrix_of(y, x), axis=0))


@settings(max_examples=20, deadline=None)
@given(batches())
def test_cholesky_standardises_each_feature_after_regression_on_those_before(x):
    # Oracle: Gram-Schmidt on the centred features (QR with a positive diagonal), no covariance formed.
    q, r = np.linalg.qr(x - x.mean(axis=0))
    np.testing.assert_allclose(
        whitened("cholesky", x), np.sqrt(BATCH) * q * np.sign(np.diagonal(r)), atol=10 * ACCURACY
    )
    np.testing.assert_allclose(whitened("cholesky", x)[:, 0], jax.jit(batch_norm)(x)[:, 0], atol=ACCURACY)


def test_only_cholesky_leaves_the_first_feature_to_batch_norm():
    x = batch_of_spectrum(SPECTRUM, BATCH, 8)
    first = np.asarray(jax.jit(batch_norm)(x))[:, 0]
    for name in ("zca", "pca"):
        assert np.max(np.abs(whitened(name, x)[:, 0] - first)) > 0.1


@every_whitening
def test_derivatives_equal_finite_differences(name):
    # Fourth order: truncation step^4 / 30 times the fifth derivative, below 1e5 for eigenvalues above 0.1 with gaps of 0.8;
    # rounding ACCURACY / step.
    x, tangent = batch_of_spectrum(SPECTRUM, BATCH, 9), np.random.default_rng(10).normal(size=(BATCH, FEATURES))
    step = 1e-3
    values = [whitened(name, x + m * step * tangent) for m in (-2, -1, 1, 2)]
    difference = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    function = jax.jit(lambda x, t: jax.jvp(compiled(name, FEATURES), (x,), (t,))[1])
    np.testing.assert_allclose(function(x, tangent), difference, atol=1e-8)


def test_derivatives_of_zca_are_not_finite_where_eigenvalues_coincide():
    # Two rows of a Hadamard matrix: covariance exactly I. Cholesky needs no eigenvalues.
    x = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    tangent = np.arange(8.0).reshape(4, 2)

    def is_finite(name):
        return np.all(np.isfinite(jax.jit(lambda x: jax.jvp(compiled(name, 2), (x,), (tangent,))[1])(x)))

    assert not is_finite("zca")
    assert is_finite("cholesky")


@every_whitening
def test_whitening_keeps_single_precision(name):
    x = batch_of_spectrum(SPECTRUM, BATCH, 11).astype(np.float32)
    y = compiled(name, FEATURES)(jnp.asarray(x))
    assert y.dtype == jnp.float32
    # ACCURACY with a rounding of 6e-8 in place of 1.1e-16.
    np.testing.assert_allclose(y, whitened(name, x.astype(np.float64)), atol=ACCURACY * 2**29)


@every_whitening
def test_whitening_refuses_groups_and_batches_that_do_not_do(name):
    x = jnp.ones((BATCH, 64))
    with pytest.raises(
        ValueError, match="`group_size` must divide the number of features, got 12 for 64 features; try 8 or 16"
    ):
        WHITENINGS[name](x, group_size=12)
    with pytest.raises(ValueError, match=f"`{name}` needs more samples .* got a batch of 16 for groups of 16; try"):
        WHITENINGS[name](x)
    for group_size in (0, -4, 4.0, True, None):
        with pytest.raises(ValueError, match=f"`group_size` must be a positive whole number .*, got {group_size}; try"):
            WHITENINGS[name](x, group_size=group_size)
    with pytest.raises(ValueError, match="got 16 for 8 features; try 4 or 8"):
        WHITENINGS[name](x[:, :8])
