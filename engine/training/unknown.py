"""Below which confidence a pixel is better called unknown."""

from __future__ import annotations

import numpy as np

from engine.metrics.calibration import PercentCalibration

MOST = 0.5
"""A calibrated confidence of one half or more is never given up: the class is more likely right than wrong. Validation
pixels are often plain ones, and a threshold from them alone would call all that is less plain unknown."""


def unknown_threshold(confidences: PercentCalibration, *, share: float) -> float:
    """The largest threshold, in whole per cent as 0…:data:`MOST`, below which at most ``share`` (0…1) of the pixels
    lie, whose largest calibrated probability is ``confidences``. 0 without pixels, and with ``share`` 0 where none may
    be lost.

    One point of the risk–coverage curve (El-Yaniv and Wiener 2010): the coverage is fixed, and the least certain pixels
    are given up.
    """
    if confidences.n == 0 or share <= 0:
        return 0.0
    below = np.concatenate([[0], np.cumsum(confidences.table().sum(0))])[:100]  # [t]: pixels under t per cent
    return min(float(np.flatnonzero(below <= share * confidences.n).max()) / 100, MOST)
