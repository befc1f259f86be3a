import jax
import numpy as np

from ntkcheck.normalizers.gram_schmidt import gram_schmidt


def test_columns_are_those_of_a_qr_factorisation_with_a_positive_diagonal():
    columns = jax.random.normal(jax.random.key(0), (3, 2, 40, 31))
    found = gram_schmidt(columns)
    q, r = np.linalg.qr(columns)
    # Gram-Schmidt loses about the condition number, 1e2 for these, times 1e-16; 31 columns.
    expected = q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.abs(found - q).max() > 0.1  # power: LAPACK's signs are others


def test_a_square_matrix_becomes_orthogonal():
    found = gram_schmidt(jax.random.normal(jax.random.key(0), (3, 2, 31, 31)))
    # The condition number is 1e4 at most here.
    np.testing.assert_allclose(found @ found.mT, np.broadcast_to(np.eye(31), found.shape), atol=1e-11)
