"""The fitted calibrations, by method. Made by ``scripts/calibrate_locate``; not written by hand."""

from __future__ import annotations

from dataclasses import replace

from engine.crossview.search.calibration import Calibration, Choice
from engine.crossview.search.ranking import Weights

# scripts/calibrate_locate --fit i901:c901 i902:c902 --photos 18 --verify 24
# cN: engine simulate city --seed N --size 700 --panoramas 70 --samples 1 --overhead-gsd 0.3
# iN: engine locate index cN/overhead.tif --method geometric --cell 12
_GEOMETRIC = (
    "fitted on 2 simulated cities, 18 panoramas of each in its own city and 18 of the other; few, so they are rough, "
    "and half of the photos were taken elsewhere"
)
# scripts/calibrate_locate --fit i901:c901 i902:c902 --check i903:c903 --method fused --photos 20 --verify 24
# cN: engine simulate city --seed N --size 700 --panoramas 30 --samples 1 --overhead-gsd 0.3
# iN: engine locate index cN/overhead.tif --region (the bounds of the file) --method fused
_LEARNED = (
    "fitted for the starter model on 2 simulated cities, 20 panoramas of each in its own city and 20 of the other; "
    "few, so they are rough, and half of the photos were taken elsewhere"
)
NOT_FITTED = "not fitted for this model: its scores are taken for those of the starter model"
TABLES = {
    "geometric": Calibration(
        Weights(own=0.0, neighbours=0.3, verified=1.5),
        {25.0: Choice(0.8, 7.0, 5.0), 50.0: Choice(0.8, 7.0, 5.0), 100.0: Choice(0.8, 7.0, 5.0)},
        0.5,
        _GEOMETRIC,
    ),
    "learned": Calibration(
        Weights(own=1.0, neighbours=1.0, verified=1.5),
        {25.0: Choice(0.8, 7.0, 5.0), 50.0: Choice(0.8, 7.0, 5.0), 100.0: Choice(0.8, 7.0, 5.0)},
        0.5,
        _LEARNED,
    ),
}


def calibration_for(layer: str, *, starter: bool) -> Calibration:
    """The calibration of searches whose first comparison is by ``layer``; ``starter``: by the starter model, which the
    numbers of networks were fitted for."""
    if layer == "geometric":
        return TABLES["geometric"]
    return TABLES["learned"] if starter else replace(TABLES["learned"], source=NOT_FITTED)
