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
# The command below, when the starter model had no rings: for models of one's own that have none.
_LEARNED = (
    "fitted for the first starter model, which had no rings, on 2 simulated cities, 30 panoramas of each in its own "
    "city and 30 of the other; half of the photos were taken elsewhere"
)
# scripts/calibrate_locate --fit i901:c901 i902:c902 --check i903:c903 i904:c904 --method fused --photos 30 --verify 24
_RINGS = (
    "fitted for the starter model on 2 simulated cities, 30 panoramas of each in its own city and 30 of the other; "
    "half of the photos were taken elsewhere"
)
# The same with --verify 0, but for the belief from which on a photo counts as found. With the fitted .5 it is 8 % of
# the photos of 903 and 904 that were taken there and 7 % of the others (AUC .51): the network alone cannot tell which
# were, and nothing is called found.
_UNVERIFIED = f"{_RINGS}; no candidate is verified, so that nothing is called found"
NOT_FITTED = "not fitted for this model: its scores are taken for those of the starter model"
RINGS, LEARNED, UNVERIFIED = "rings", "learned", "unverified"
TABLES = {
    "geometric": Calibration(
        Weights(own=0.0, neighbours=0.3, verified=1.5),
        {25.0: Choice(1.049, 10.902, 9.409), 50.0: Choice(1.065, 11.036, 9.543), 100.0: Choice(0.985, 10.179, 8.097)},
        0.5,
        _GEOMETRIC,
    ),
    LEARNED: Calibration(
        Weights(own=1.0, neighbours=1.0, verified=1.5),
        {25.0: Choice(0.977, 10.687, 8.537), 50.0: Choice(0.963, 10.453, 7.741), 100.0: Choice(0.919, 9.926, -0.716)},
        0.5,
        _LEARNED,
    ),
    RINGS: Calibration(
        Weights(own=0.3, neighbours=0.0, verified=0.3),
        {25.0: Choice(6.187, 15.059, 13.041), 50.0: Choice(5.748, 13.884, 10.881), 100.0: Choice(5.925, 14.13, -0.021)},
        0.637,
        _RINGS,
    ),
    UNVERIFIED: Calibration(
        Weights(own=1.0, neighbours=0.3, verified=0.0),
        {25.0: Choice(1.861, 8.963, 6.475), 50.0: Choice(1.958, 9.254, 6.254), 100.0: Choice(2.24, 10.174, -0.617)},
        1.0,
        _UNVERIFIED,
    ),
}


def calibration_for(layer: str, *, starter: bool, verified: str | None) -> Calibration:
    """The calibration of searches whose first comparison is by ``layer``; ``verified``: by what candidates are turned,
    :data:`RINGS` of the model or "geometric", None: by nothing. ``starter``: by the starter model, which the numbers of
    networks were fitted for."""
    if layer == "geometric":
        return TABLES["geometric"]
    table = TABLES[UNVERIFIED if verified is None else RINGS if verified == RINGS else LEARNED]
    return table if starter and table is not TABLES[LEARNED] else replace(table, source=NOT_FITTED)
