"""The fitted calibrations, by method. Made by ``scripts/calibrate_locate``; not written by hand."""

from __future__ import annotations

from dataclasses import replace

from engine.crossview.search.calibration import Calibration, Choice
from engine.crossview.search.ranking import Weights

# cN: engine simulate city --seed N --size 700 --panoramas 30 --samples 1 --overhead-gsd 0.3
# gN, iN: engine locate index cN/overhead.tif --region (the bounds of the file) --method geometric, or fused
# scripts/calibrate_locate --fit g901:c901 g902:c902 --check g903:c903 g904:c904 --method geometric --photos 20
#   --verify 24
_GEOMETRIC = (
    "fitted on 2 simulated cities, 20 panoramas of each in its own city and 20 of the other; half of the photos were "
    "taken elsewhere"
)
# scripts/calibrate_locate --fit i901:c901 i902:c902 --check i903:c903 i904:c904 --method fused --photos 30 --verify 24
_LEARNED = (
    "fitted for the starter model on 2 simulated cities, 30 panoramas of each in its own city and 30 of the other; "
    "half of the photos were taken elsewhere"
)
NOT_FITTED = "not fitted for this model: its scores are taken for those of the starter model"
TABLES = {
    "geometric": Calibration(
        Weights(own=0.0, neighbours=0.3, verified=1.5),
        {25.0: Choice(1.049, 10.902, 9.409), 50.0: Choice(1.065, 11.036, 9.543), 100.0: Choice(0.985, 10.179, 8.097)},
        0.5,
        _GEOMETRIC,
    ),
    "learned": Calibration(
        Weights(own=1.0, neighbours=1.0, verified=1.5),
        {25.0: Choice(0.977, 10.687, 8.537), 50.0: Choice(0.963, 10.453, 7.741), 100.0: Choice(0.919, 9.926, -0.716)},
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
