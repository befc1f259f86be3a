"""Half-space moments of Gaussians, by polar coordinates in the plane that two variables span.

v_i = x_i . g and v_j = x_j . g with g ~ N(0, I). With unit vectors n_i, n_j at the angle 2 psi, the bisector e1 and its
normal e2 in their plane, g = r (cos theta e1 + sin theta e2) + (an independent remainder), and

    v_i = |x_i| r cos(theta - psi),   v_j = |x_j| r cos(theta + psi),
    {v_i > 0, v_j > 0} = {|theta| < Omega},   Omega = pi/2 - psi.

The radius gives E[r^2] = 2 and E[r^4] = 8, the angle elementary integrals, the remainder its trace; cos psi e1 =
(n_i + n_j)/2 and sin psi e2 = (n_i - n_j)/2 remove every division by sin psi, so duplicate rows are no special case.
Omega comes from chords, never from an arccos.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist


class Wedge(NamedTuple):
    """Masked moments E[phi'(v_i) phi'(v_j) ...] for all rows i of one factor and all rows j of another."""

    alpha: float
    rows: np.ndarray  # x_i
    columns: np.ndarray  # x_j
    row_norms: np.ndarray  # |x_i|, as a column
    column_norms: np.ndarray  # |x_j|, as a row
    omega: np.ndarray  # half of the wedge's opening
    sine: np.ndarray  # sin(2 omega)
    dual: np.ndarray  # E[relu(n_i . g) relu(n_j . g)]


def wedge(rows: np.ndarray, columns: np.ndarray, alpha: float) -> Wedge:
    """The wedges of all pairs; phi' is 1 on v > 0 and alpha elsewhere."""
    row_norms, column_norms = (np.linalg.norm(x, axis=1) for x in (rows, columns))
    n_i, n_j = rows / row_norms[:, None], columns / column_norms[:, None]
    omega = np.arctan2(cdist(n_i, -n_j), cdist(n_i, n_j))
    sine = np.sin(2 * omega)
    # (2 / 2 pi) int (cos 2 theta + cos 2 psi) / 2 over the wedge, cos 2 psi = -cos 2 Omega.
    dual = (sine - 2 * omega * np.cos(2 * omega)) / (2 * np.pi)
    return Wedge(alpha, rows, columns, row_norms[:, None], column_norms[None, :], omega, sine, dual)


def _masked(w: Wedge, everywhere, positive):
    """phi' phi' h for even h: alpha E[h] + (1 - alpha)^2 E[h; both positive], by v -> -v."""
    return w.alpha * everywhere + (1 - w.alpha) ** 2 * positive


def mask_mean(w: Wedge) -> np.ndarray:
    """E[phi'_i phi'_j]."""
    return _masked(w, 1.0, w.omega / np.pi)


def mask_product(w: Wedge) -> np.ndarray:
    """E[phi'_i phi'_j v_i v_j] = E[phi(v_i) phi(v_j)]."""
    return _masked(w, w.rows @ w.columns.T, w.row_norms * w.column_norms * w.dual)


def mask_linear(w: Wedge, y: np.ndarray) -> np.ndarray:
    """E[phi'_i phi'_j v_i (y_j . g)] for the rows y_j of `y`, one for each column j."""
    # (2 / 2 pi) |x_i| (cos psi y.e1 int cos^2 + sin psi y.e2 int sin^2), int cos^2, sin^2 = Omega +- sin(2 Omega) / 2.
    own = np.sum(y * w.columns, axis=1)[None, :] / w.column_norms
    product = w.rows @ y.T
    return _masked(w, product, (w.omega * product + w.sine / 2 * w.row_norms * own) / np.pi)


def mask_quadratic(w: Wedge, m: np.ndarray) -> np.ndarray:
    """E[phi'_i phi'_j v_i v_j g^T m g]."""
    m = (m + m.T) / 2
    across = w.rows @ m @ w.columns.T
    own = np.sum((w.rows @ m) * w.rows, axis=1)[:, None] / w.row_norms**2
    own = own + np.sum((w.columns @ m) * w.columns, axis=1)[None, :] / w.column_norms**2
    # The plane's part less its share of the trace: (2/pi) (cos^2 psi m11 int cos^2 - sin^2 psi m22 int sin^2).
    size = w.row_norms * w.column_norms
    plane = (4 * w.omega * across + w.sine * size * own) / (2 * np.pi)
    everywhere = (w.rows @ w.columns.T) * np.trace(m) + 2 * across
    return _masked(w, everywhere, size * w.dual * np.trace(m) + plane)
