"""How likely a candidate is within 25, 50 or 100 m of the photo: a logistic function of its score and its gap.

The numbers are fitted by ``scripts/calibrate_locate`` and nowhere else; :data:`TABLES` says on what.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.crossview.search.ranking import Places, Weights

RADII_M = (25.0, 50.0, 100.0)
FITTED_INSIDE = 0.5
"""Share of the photos that had been taken in the region where the numbers were fitted."""


@dataclass(frozen=True)
class Calibration:
    """``logits``: radius in metres → (constant, of the score, of the gap); ``match_at``: the probability within 100 m
    from which on a photo counts as found; ``source``: what it was fitted on.

    They were fitted where half of the photos had been taken elsewhere. ``home``: (constant, of the first place's score,
    of its gap) of how likely a photo was then taken in the region at all; 0s where its scores do not tell. ``inside``:
    how likely that is before anything is looked at, as whoever searches knows it (:meth:`believing`).
    """

    weights: Weights
    logits: dict[float, tuple[float, float, float]]
    match_at: float
    source: str
    home: tuple[float, float, float] = (0.0, 0.0, 0.0)
    inside: float = FITTED_INSIDE

    @property
    def fitted(self) -> bool:
        """Were the numbers measured, or guessed?"""
        return not self.source.startswith("not fitted")

    def believing(self, inside: float) -> Calibration:
        """The calibration for photos of which a share ``inside`` (above 0, at most 1) was taken in the region."""
        return replace(self, inside=inside)

    def probabilities(self, places: Places, radius_m: float) -> NDArray[np.float64]:
        """(N,) that the photo was taken within ``radius_m`` of each candidate; places are apart, so that together they
        are at most 1.

        A place is right only if the photo was taken in the region, so another belief in that changes its probability by
        the factor P(region | score, belief) / P(region | score, half), after Bayes.
        """
        found = _logistic(self.logits[radius_m], places.score, places.gap)
        home = float(_logistic(self.home, places.score[:1], places.gap[:1])[0]) if len(places.score) else 0.5
        for_it, against = home * self.inside, (1 - home) * (1 - self.inside)
        found = np.minimum(found * (for_it / max(for_it + against, 1e-12)) / max(home, 1e-12), 1.0)
        return np.asarray(found / max(1.0, float(found.sum())))


def _logistic(
    of: tuple[float, float, float], score: NDArray[np.floating], gap: NDArray[np.floating]
) -> NDArray[np.float64]:
    constant, of_score, of_gap = of
    logit = constant + of_score * np.asarray(score, np.float64) + of_gap * np.asarray(gap, np.float64)
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -60, 60))))
