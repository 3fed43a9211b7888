"""The scene classification (SCL) of Sentinel-2 Level-2A: which pixels show the ground.

Codes of Sen2Cor: 0 no data, 1 saturated or defective, 2 dark, 3 cloud shadow, 4 vegetation, 5 bare, 6 water, 7 not
classified, 8 and 9 cloud of medium and high probability, 10 thin cirrus, 11 snow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HIDDEN = (0, 1, 3, 8, 9, 10)
LAST = 11


def shows_ground(codes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """True where the class (float, NaN where there is none) is neither missing, nor cloud, nor its shadow."""
    return np.isfinite(codes) & ~np.isin(codes, HIDDEN)


def is_classification(codes: NDArray[np.float32]) -> bool:
    """Can these values (NaN where there is none) be scene classes: whole numbers from 0 to 11?"""
    found = codes[np.isfinite(codes)]
    return bool(((found >= 0) & (found <= LAST) & (found == np.rint(found))).all())
