"""Features of a network as vectors of length 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class FeaturesRefused(Exception):
    """What the encoder says cannot be compared."""


def unit_length(features: NDArray[np.floating]) -> NDArray[np.float32]:
    """``features`` [n, dimensions], each row divided by its length; one of zeros stays.

    Raises:
        FeaturesRefused: a feature is not finite.
    """
    exact = np.asarray(features, np.float64)
    if not np.isfinite(exact).all():
        row = int((~np.isfinite(exact).all(axis=1)).argmax())
        raise FeaturesRefused(f"row {row} of {len(exact)} has a feature that is not finite; train it again")
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    divided: NDArray[np.float64] = np.divide(exact, lengths, out=np.zeros_like(exact), where=lengths > 0)
    return divided.astype(np.float32)
