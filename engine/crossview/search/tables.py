"""The fitted calibrations, by method. Made by ``scripts/calibrate_locate``; not written by hand."""

from __future__ import annotations

from engine.crossview.search.calibration import Calibration
from engine.crossview.search.ranking import Weights

_NOT_FITTED = "not fitted yet: a guess, wide on purpose"
TABLES = {
    "geometric": Calibration(
        Weights(own=1.0, neighbours=0.3, verified=0.7),
        {25.0: (-6.0, 0.4, 1.0), 50.0: (-5.5, 0.4, 1.0), 100.0: (-5.0, 0.4, 1.0)},
        0.5,
        _NOT_FITTED,
    ),
    "learned": Calibration(
        Weights(own=1.0, neighbours=0.3, verified=0.7),
        {25.0: (-6.0, 0.4, 1.0), 50.0: (-5.5, 0.4, 1.0), 100.0: (-5.0, 0.4, 1.0)},
        0.5,
        _NOT_FITTED,
    ),
}


def calibration_for(layer: str) -> Calibration:
    """The calibration of searches whose first comparison is by ``layer``."""
    return TABLES["geometric" if layer == "geometric" else "learned"]
