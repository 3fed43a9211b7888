"""Water indices of reflectance: normalised differences in which water is high."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

INDICES = {"ndwi": ("B03", "B08"), "mndwi": ("B03", "B11")}
"""NDWI: McFeeters (1996), green and near infrared. MNDWI: Xu (2006), green and short-wave infrared."""


def normalised_difference(first: FloatArray, second: FloatArray) -> FloatArray:
    """(first − second) / (first + second), −1…1 for values that are not negative; NaN where either is, or their sum is
    not positive. Slightly negative reflectance, as atmospheric correction leaves it in water, counts as 0."""
    a, b = np.maximum(first, 0), np.maximum(second, 0)
    total = a + b
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, (a - b) / total, np.nan).astype(np.float32)


def water_indices(bands: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """The indices that can be computed from ``bands`` (reflectance by standard name, all of one shape)."""
    return {
        name: normalised_difference(bands[first], bands[second])
        for name, (first, second) in INDICES.items()
        if first in bands and second in bands
    }
