"""How likely a candidate is within 25, 50 or 100 m of the photo: a logistic function of its score and its gap.

The numbers are fitted by ``scripts/calibrate_locate`` and nowhere else; :data:`TABLES` says on what.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.crossview.search.ranking import Places, Weights

RADII_M = (25.0, 50.0, 100.0)


@dataclass(frozen=True)
class Calibration:
    """``logits``: radius in metres → (constant, of the score, of the gap); ``match_at``: the probability within 100 m
    from which on a photo counts as found; ``source``: what it was fitted on."""

    weights: Weights
    logits: dict[float, tuple[float, float, float]]
    match_at: float
    source: str

    @property
    def fitted(self) -> bool:
        """Were the numbers measured, or guessed?"""
        return not self.source.startswith("not fitted")

    def probabilities(self, places: Places, radius_m: float) -> NDArray[np.float64]:
        """(N,) that the photo was taken within ``radius_m`` of each candidate; places are apart, so that together they
        are at most 1."""
        constant, of_score, of_gap = self.logits[radius_m]
        logit = constant + of_score * places.score + of_gap * places.gap
        found = 1 / (1 + np.exp(-np.clip(logit, -60, 60)))
        return np.asarray(found / max(1.0, float(found.sum())))
