"""Numbers for pictures."""

from typing import Any

import numpy as np

SIGNIFICANT = 5  # digits


def rounded(value: Any) -> float | None:
    """A number with as many digits as a picture can show; what is not finite is missing."""
    return float(f"{value:.{SIGNIFICANT}g}") if np.isfinite(value) else None
